"""`log serve`, `log witness`: processes that run until they are stopped."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING

from audit_log import HttpPoster, HttpServer, HttpSource, LogUnreachable, explain, follow
from audit_log.note import MAX_NOTE_BYTES
from audit_log.witness import MAX_REQUEST_BYTES
from cleanroom.errors import Bilingual, ExitCode, Fault, UsageError
from cleanroom.room import Home
from cleanroom.room.log_memory import NEWEST
from cleanroom.room.log_server import ADD_COSIGNATURES, LogServer
from cleanroom.room.logbook import log_at, unreachable
from cleanroom.room.own_witness import add_log, logs_of, make_witness, open_witness, own_key, witness_memory
from cleanroom.room.sealed_export import sealed_path

if TYPE_CHECKING:
    import argparse

    from audit_log import Reply, Verifier, Witness
    from audit_log.http_server import Answer
    from cleanroom.cli.console import Console


def serve(console: Console, arguments: argparse.Namespace) -> int:
    """Serve a room's log."""
    log = LogServer(arguments.room, arguments.details)
    try:
        with _listening(arguments.listen, log.answer, most_bytes=MAX_NOTE_BYTES) as server:
            console.say(f"journal {log.verifier.name}", f"log {log.verifier.name}")
            if arguments.details is not None:
                path = sealed_path(arguments.details)
                console.say(f"  et les détails scellés {path}", f"  and the sealed details {path}")
            _serve(console, server)
    finally:
        log.close()
    return ExitCode.DONE


def witness(console: Console, arguments: argparse.Namespace) -> int:
    """Make a member's witness, or run it."""
    home = Home.default()
    if arguments.new:
        make_witness(home, arguments.party)
    for path in arguments.logs:
        add_log(home, arguments.party, path)
    if arguments.new:
        _say_new(console, home, arguments)
        return ExitCode.DONE
    own = open_witness(home, arguments.party)
    try:
        if arguments.follow is not None:
            return _follow(console, home, own, arguments)
        with _listening(arguments.listen, _watched(console, own), most_bytes=MAX_REQUEST_BYTES + 1) as server:
            console.say(f"témoin {own.verifier.vkey}", f"witness {own.verifier.vkey}")
            for log in logs_of(home, arguments.party):
                console.say(f"  connaît {log.name}", f"  knows {log.name}")
            _serve(console, server)
    finally:
        own.close()
    return ExitCode.DONE


def _listening(address: tuple[str, int], answer: Answer, *, most_bytes: int) -> HttpServer:
    host, port = address
    try:
        return HttpServer(host, port, answer, most_bytes=most_bytes)
    except OSError as error:
        raise Fault(
            Bilingual(f"{host}:{port} : {error.strerror}", f"{host}:{port}: {error.strerror}"), code="cannot_listen"
        ) from None


def _serve(console: Console, server: HttpServer) -> None:
    console.say(
        f"  à l'écoute : {server.url} (sans chiffrement : un mandataire TLS devant, pour d'autres machines)",
        f"  listening: {server.url} (not encrypted: a TLS proxy before it, for other machines)",
    )
    sys.stdout.flush()
    server.serve_forever()


def _say_new(console: Console, home: Home, arguments: argparse.Namespace) -> None:
    vkey = own_key(home, arguments.party).vkey
    console.say(
        f"Témoin de {arguments.party} créé. Sa clé publique, pour la politique de la salle et des autres :",
        f"Witness of {arguments.party} made. Its public key, for the policies of the room and of others:",
    )
    console.lines([f"  witness {arguments.party} {vkey}"])
    console.say(
        "  Gardez son répertoire avec vos clés ; perdu, ce témoin est à retirer, non à recommencer.",
        "  Keep its directory with your keys; lost, this witness is to be retired, not begun again.",
    )


def _watched(console: Console, own: Witness) -> Answer:
    """Return the witness's answers; what contradicts all that it saw is said aloud, for a human being."""

    def answer(method: str, path: str, body: bytes) -> Reply:
        reply = own.answer(method, path, body)
        if reply.status is HTTPStatus.UNPROCESSABLE_ENTITY:
            console.error(
                Bilingual(
                    "refusé : un journal montre un état que le dernier contresigné contredit ; il est gardé, dites-le",
                    "refused: a log showed a state that the last one cosigned contradicts; it is kept, speak of it",
                ),
                "history_contradicted",
            )
            sys.stderr.flush()
        return reply

    return answer


def _follow(console: Console, home: Home, own: Witness, arguments: argparse.Namespace) -> int:
    """Read what is new in a served log, cosign it, send that back; again and again unless it is to be done once."""
    url = arguments.follow.rstrip("/")
    memory = witness_memory(home, arguments.party)
    log = _log_of(home, arguments)
    while True:
        try:
            with closing(log_at(f"{url}{NEWEST}")) as source:
                found = follow(own, log, source, memory)
        except LogUnreachable as error:
            if arguments.every is None:
                raise unreachable(error) from None
            console.failed(unreachable(error))
        else:
            sentence = explain(found.verdict, console.language.value)
            if not found.verdict.ok:
                console.error(Bilingual(sentence, sentence), found.verdict.code.value)
                return ExitCode.NOT_VERIFIED
            said = _send(url, found.note) if found.note else Bilingual("déjà contresigné", "cosigned already")
            console.say(f"{sentence} {said.fr}", f"{sentence} {said.en}")
            sys.stdout.flush()
        if arguments.every is None:
            return ExitCode.DONE
        time.sleep(arguments.every)


def _send(url: str, note: bytes) -> Bilingual:
    try:
        reply = HttpPoster().post(url + ADD_COSIGNATURES, note)
    except LogUnreachable as error:
        raise unreachable(error) from None
    if reply.status is HTTPStatus.OK:
        return Bilingual("Contresigné et remis.", "Cosigned and handed in.")
    said = reply.body[:200].decode("utf-8", "replace").strip()
    return Bilingual(
        f"Contresigné, mais la salle n'en veut pas : {said}", f"Cosigned, but the room declined it: {said}"
    )


def _log_of(home: Home, arguments: argparse.Namespace) -> Verifier:
    source: HttpSource = log_at(f"{arguments.follow.rstrip('/')}{NEWEST}")
    known = {log.vkey: log for log in logs_of(home, arguments.party)}
    try:
        claimed = (source.read("log.vkey", 1024) or b"").decode("ascii", "replace").strip()
    except LogUnreachable as error:
        raise unreachable(error) from None
    finally:
        source.close()
    if claimed not in known:
        raise UsageError(
            Bilingual(
                "ce témoin ne connaît pas ce journal : --log FICHIER", "this witness does not know this log: --log FILE"
            ),
            code="no_log",
        )
    return known[claimed]
