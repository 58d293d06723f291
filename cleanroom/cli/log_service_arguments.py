"""The arguments of what serves, watches and cosigns a log, with their help in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser

VKEY: Final = Bilingual(
    "la clé publique du journal, reçue d'ailleurs que de l'opérateur",
    "the log's public key, had from elsewhere than the operator",
)
ANY_LOG: Final = Bilingual(
    "la salle, le répertoire d'un export, ou l'URL d'un journal servi",
    "the room, an export's directory, or the URL of a log that is served",
)


def add_services(adder: Adder) -> None:
    """Add the commands."""
    _add_serve(adder)
    _add_watch(adder)
    _add_witness(adder)
    _add_witnesses(adder)


def _add_serve(adder: Adder) -> None:
    serve = adder.in_room(
        "log serve",
        "sert le journal par HTTP, aux membres, auditeurs et témoins ; il n'y faut aucune clé de la salle",
        "serve the log over HTTP, to members, auditors and witnesses; needs no key of the room",
    )
    adder.valued(
        serve.choices,
        "--details",
        "DIR",
        adder.read.path,
        "sert aussi les détails scellés de cet export (log export --details) : chacun lit les siens par log read URL "
        "--key",
        "also serve the sealed details of this export (log export --details): each reads its own with log read URL "
        "--key",
    )
    _listen(adder, serve, 8470)


def _listen(adder: Adder, parser: Parser, port: int) -> None:
    adder.valued(
        parser.choices,
        "--listen",
        "HOST:PORT",
        adder.read.address,
        f"où écouter (par défaut 127.0.0.1:{port} ; port 0 : un port libre)",
        f"where to listen (default: 127.0.0.1:{port}; port 0: a free one)",
        default=("127.0.0.1", port),
    )


def _every(adder: Adder, parser: Parser) -> None:
    adder.valued(
        parser.choices,
        "--every",
        "SECONDS",
        adder.read.count,
        "recommence toutes les tant de secondes ; sinon, une fois",
        "again every so many seconds; without it, once",
    )


def _add_witness(adder: Adder) -> None:
    read = adder.read
    witness = adder.command(
        "log witness",
        "le témoin d'un membre : contresigne un journal tant qu'il ne fait que croître",
        "a member's witness: cosigns a log as long as it only grows",
        Bilingual(
            "pour commencer : cleanroom log witness --as MEMBRE --new --log log.vkey\n"
            "puis, joignable : cleanroom log witness --as MEMBRE --listen 127.0.0.1:8471\n"
            "ou, sans adresse : cleanroom log witness --as MEMBRE --follow URL --every 60",
            "to begin: cleanroom log witness --as MEMBER --new --log log.vkey\n"
            "then, to be called: cleanroom log witness --as MEMBER --listen 127.0.0.1:8471\n"
            "or, without an address: cleanroom log witness --as MEMBER --follow URL --every 60",
        ),
    )
    options = witness.choices
    adder.party(options, "le membre dont c'est le témoin", "the member whose witness it is")
    adder.flag(options, "--new", "crée la clé et l'état du témoin, une fois", "make the witness's key and state, once")
    adder.valued(
        options,
        "--log",
        "FILE",
        read.path,
        "la clé publique d'un journal à contresigner désormais, reçue d'ailleurs que de l'opérateur",
        "the public key of a log to cosign from now on, had from elsewhere than the operator",
        dest="logs",
        action="append",
        default=[],
    )
    adder.valued(
        options,
        "--follow",
        "URL",
        read.text,
        "va lire ce journal, vérifie chaque entrée nouvelle, contresigne et remet",
        "go and read this log, verify each new entry, cosign and hand in",
    )
    _listen(adder, witness, 8471)
    _every(adder, witness)


def _add_witnesses(adder: Adder) -> None:
    read = adder.read
    witnesses = adder.in_room(
        "log witnesses",
        "fixe ou montre les témoins que la salle sollicite",
        "set or show the witnesses that the room asks",
    )
    adder.valued(
        witnesses.choices,
        "--policy",
        "FILE",
        read.path,
        "les témoins et leur quorum (c2sp.org/tlog-policy)",
        "the witnesses and their quorum (c2sp.org/tlog-policy)",
    )
    adder.valued(
        witnesses.choices,
        "--limit",
        "HOURS",
        read.count,
        "avec --policy : sans quorum depuis tant d'heures, aucune question n'est répondue",
        "with --policy: without a quorum for so many hours, no question is answered",
    )
    cosign = adder.in_room(
        "log cosign", "demande aux témoins de contresigner le journal", "ask the witnesses to cosign the log"
    )
    _every(adder, cosign)


def _add_watch(adder: Adder) -> None:
    words, read = adder.words, adder.read
    watch = adder.command(
        "log watch",
        "dit à un membre chaque usage de ses données, numéroté sans lacune",
        "tell a member of each use of its data, numbered without a gap",
        Bilingual(
            "ne montre que ce qui est nouveau sur cette machine ; un fil Atom montre toujours les derniers\n"
            "avec la salle et ses clés, ou un export scellé et une clé de lecture, les détails ; sinon, l'enveloppe",
            "shows only what is new on this machine; an Atom feed always shows the last ones\n"
            "with the room and its keys, or a sealed export and a reading key, the details; else the public part",
        ),
    )
    watch.places.add_argument("target", metavar="ROOM|DIR|URL", type=read.log_place, help=words.say(ANY_LOG))
    options = watch.choices
    adder.party(options, "le membre dont ce sont les données", "the member whose data it is")
    adder.valued(
        options,
        "--ordinal",
        "N",
        read.ordinal,
        "son numéro dans le journal, dit à son inscription ; la première fois, hors de la salle",
        "its number in the log, told when it was registered; the first time, away from the room",
    )
    options.add_argument("--vkey", metavar="FILE", type=read.path, help=words.say(VKEY))
    adder.valued(
        options,
        "--key",
        "FILE",
        read.path,
        "d'un export fait avec --details, les détails aussi, avec cette clé de lecture",
        "of an export made with --details, the details too, with this reading key",
    )
    options.add_argument(
        "--format",
        choices=("text", "jsonl", "atom"),
        default="text",
        help=words.of(
            "texte, une ligne JSON par entrée, ou fil Atom (par défaut, text)",
            "text, a JSON line for each entry, or an Atom feed (default: text)",
        ),
    )
    adder.flag(
        options,
        "--all",
        "relit tout, depuis la première entrée",
        "read everything again, from the first entry on",
        dest="everything",
    )
    _every(adder, watch)
