"""The arguments of `log` and its commands, with their help in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.cli.log_reader_arguments import (
    add_readers,
    kinds_of_events,
    offline,
    period,
    reader,
    room_or_log,
    table_or_json,
)
from cleanroom.cli.log_service_arguments import ANY_LOG, VKEY, add_services
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser


def add_log(adder: Adder) -> None:
    """Add `log` and its commands."""
    for name in ("log", "log read"):
        reading = room_or_log(adder, name, "montre le journal de la salle", "show the room's log")
        _filters(adder, reading)
        _kinds(adder, reading)
        reader(adder, reading)
        offline(adder, reading)
        table_or_json(adder, reading)
    _add_verify(adder)
    _add_export(adder)
    _add_register(adder)
    _add_retention(adder)
    add_readers(adder)
    add_services(adder)


def _kinds(adder: Adder, parser: Parser) -> None:
    kinds_of_events(adder, parser)
    adder.flag(
        parser.choices, "--refused", "ce qui fut refusé ou tomba en panne, seulement", "only what was refused or failed"
    )


def _filters(adder: Adder, parser: Parser) -> None:
    """Add what entries are chosen by."""
    read, options = adder.read, parser.choices
    adder.valued(options, "--party", "ID", read.party, "ce que cette partie a fait", "what this party did")
    adder.valued(
        options,
        "--member",
        "ID",
        read.party,
        "ce qui touche ses données ou ses droits",
        "what touches its data or its rights",
    )
    adder.valued(options, "--purpose", "P", read.text, "pour ce but", "for this purpose")
    period(adder, parser)
    adder.valued(
        options,
        "--entries",
        "A-B",
        read.entries,
        "de l'entrée A à l'entrée B comprise ; A-, ou A seule",
        "from entry A to entry B inclusive; A-, or A alone",
        default=(0, None),
    )


def _add_verify(adder: Adder) -> None:
    words, read = adder.words, adder.read
    verify = adder.command(
        "log verify",
        "vérifie le journal d'une salle, exporté ou servi ; il n'y faut aucune clé de la salle",
        "verify a room's log, exported or served; needs no key of the room",
        Bilingual(
            "cette machine se souvient de ce qu'elle a vérifié ($CLEANROOM_HOME) ;\n"
            "la fois d'après, elle prouve que le journal n'a fait que croître",
            "this machine remembers what it verified ($CLEANROOM_HOME);\n"
            "the next time it proves that the log only grew",
        ),
    )
    verify.places.add_argument("target", metavar="ROOM|DIR|URL", type=read.log_place, help=words.say(ANY_LOG))
    options = verify.choices
    options.add_argument("--vkey", metavar="FILE", type=read.path, help=words.say(VKEY))
    adder.valued(
        options,
        "--policy",
        "FILE",
        read.path,
        "quels témoins doivent avoir contresigné (c2sp.org/tlog-policy)",
        "which witnesses must have cosigned (c2sp.org/tlog-policy)",
    )
    adder.valued(
        options,
        "--receipt",
        "FILE",
        read.path,
        "un reçu que le journal doit honorer ; peut se répéter",
        "a receipt that the log must honour; may be repeated",
        dest="receipts",
        action="append",
        default=[],
    )
    amount = options.add_mutually_exclusive_group()
    amount.add_argument(
        "--whole",
        dest="incremental",
        action="store_const",
        const=False,
        help=words.of(
            "relit toutes les entrées (ordinaire d'un répertoire)", "read all entries again (usual for a directory)"
        ),
    )
    amount.add_argument(
        "--new",
        dest="incremental",
        action="store_const",
        const=True,
        help=words.of(
            "ne lit que les entrées nouvelles, et prouve que les anciennes n'ont pas changé (ordinaire d'une URL)",
            "read new entries only, and prove that the old ones did not change (usual for a URL)",
        ),
    )
    adder.flag(
        options,
        "--balances",
        "recalcule aussi chaque solde depuis le journal ; il y faut la clé racine de la salle",
        "also recompute every balance from the log; needs the room's root key",
    )


def _add_export(adder: Adder) -> None:
    read = adder.read
    export = adder.in_room(
        "log export",
        "écrit le journal en répertoire C2SP tlog-tiles",
        "write the log as a C2SP tlog-tiles directory",
    )
    adder.valued(
        export.places,
        "directory",
        "DIR",
        read.path,
        "un répertoire nouveau, ou d'un export antérieur",
        "a directory, new or of an earlier export",
    )
    which = export.choices.add_mutually_exclusive_group()
    adder.flag(
        which,
        "--details",
        "écrit aussi, à côté (DIR.details), les détails, scellés pour chaque partie qui a une clé de lecture",
        "also write, beside it (DIR.details), the details, sealed to each party that has a reading key",
    )
    adder.flag(
        which,
        "--cosigned",
        "jusqu'au dernier état qu'un quorum de témoins a contresigné, au lieu du plus récent",
        "up to the last state that a quorum of witnesses cosigned, instead of the newest",
    )


def _add_retention(adder: Adder) -> None:
    retention = adder.in_room(
        "log retention",
        "efface les détails du journal dont le délai de conservation est échu",
        "erase the log's details whose time is over",
    )
    adder.flag(
        retention.choices,
        "--dry-run",
        "dit ce qui serait effacé, sans rien effacer",
        "say what would be erased, erasing nothing",
    )


def _add_register(adder: Adder) -> None:
    words, read = adder.words, adder.read
    access = adder.in_room(
        "log register access",
        "le registre des accès : qui, pour quoi, sur quelle base légale, aux données de qui",
        "the register of accesses: who, for what, on which legal ground, to whose data",
    )
    _filters(adder, access)
    access.set_defaults(events=(), refused=False)  # which entries are accesses is the register's own to know
    reader(adder, access)
    access.choices.add_argument(
        "--format",
        choices=("csv", "json"),
        default="csv",
        help=words.of(
            "CSV, ou JSON avec sa preuve de complétude (par défaut, csv)",
            "CSV, or JSON with its proof of completeness (default: csv)",
        ),
    )
    adder.valued(
        access.choices,
        "--output",
        "DIR",
        read.path,
        "écrit les deux dans ce répertoire",
        "write both to this directory",
    )
    check = adder.command(
        "log register check",
        "vérifie un registre contre le journal : rien n'y manque, rien n'y est ajouté",
        "verify a register against the log: nothing is missing from it, nothing added",
    )
    adder.valued(check.places, "register", "REGISTER.json", read.path, "le registre", "the register")
    check.places.add_argument("target", metavar="ROOM|DIR|URL", type=read.log_place, help=words.say(ANY_LOG))
    check.choices.add_argument("--vkey", metavar="FILE", type=read.path, help=words.say(VKEY))
