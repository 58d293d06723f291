"""The arguments of `log` and its commands, with their help in French and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder
    from cleanroom.cli.parser import Parser

_VKEY: Final = Bilingual(
    "la clé publique du journal, reçue d'ailleurs que de l'opérateur",
    "the log's public key, had from elsewhere than the operator",
)
_ANY_LOG: Final = Bilingual(
    "la salle, le répertoire d'un export, ou l'URL d'un journal servi",
    "the room, an export's directory, or the URL of a log that is served",
)


def add_log(adder: Adder) -> None:
    """Add `log` and its commands."""
    for name in ("log", "log read"):
        reading = adder.in_room(name, "montre le journal de la salle", "show the room's log")
        add_filters(adder, reading)
        _reader(adder, reading)
        reading.choices.add_argument(
            "--format",
            choices=("table", "json"),
            default="table",
            help=adder.words.of("la forme du résultat (par défaut, table)", "the form of the result (default: table)"),
        )
    _add_verify(adder)
    _add_export(adder)
    _add_retention(adder)
    _add_serve(adder)
    _add_watch(adder)
    _add_witness(adder)
    _add_witnesses(adder)


def _reader(adder: Adder, parser: Parser) -> None:
    parser.choices.add_argument(
        "--as",
        dest="reader",
        metavar="ID",
        type=adder.read.party,
        help=adder.words.of(
            "qui lit, avec sa clé : un auditeur lit tout, un membre ce qui le touche ; sinon, l'opérateur",
            "who reads, with its key: an auditor reads all, a member what touches it; without it, the operator",
        ),
    )


def add_filters(adder: Adder, parser: Parser) -> None:
    """Add what entries are chosen by."""
    words, read, options = adder.words, adder.read, parser.choices
    options.add_argument(
        "--party", metavar="ID", type=read.party, help=words.of("ce que cette partie a fait", "what this party did")
    )
    options.add_argument(
        "--member",
        metavar="ID",
        type=read.party,
        help=words.of("ce qui touche ses données ou ses droits", "what touches its data or its rights"),
    )
    options.add_argument("--purpose", metavar="P", type=read.text, help=words.of("pour ce but", "for this purpose"))
    options.add_argument(
        "--event",
        dest="events",
        metavar="TYPE",
        action="append",
        default=[],
        type=read.event,
        help=words.of(
            "ce genre d'événement (query.released, …) ; peut se répéter",
            "this kind of event (query.released, …); may be repeated",
        ),
    )
    options.add_argument(
        "--refused",
        action="store_true",
        help=words.of("ce qui fut refusé ou tomba en panne, seulement", "only what was refused or failed"),
    )
    options.add_argument(
        "--since",
        metavar="T",
        type=read.since,
        default=0,
        help=words.of(
            "à partir d'une date, d'un moment ISO 8601 (UTC) ou de secondes Unix",
            "from a date, an ISO 8601 moment (UTC) or Unix seconds on",
        ),
    )
    options.add_argument(
        "--until", metavar="T", type=read.since, help=words.of("avant ce moment", "before this moment")
    )
    options.add_argument(
        "--entries",
        metavar="A-B",
        type=read.entries,
        default=(0, None),
        help=words.of(
            "de l'entrée A à l'entrée B comprise ; A-, ou A seule", "from entry A to entry B inclusive; A-, or A alone"
        ),
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
    verify.places.add_argument("target", metavar="ROOM|DIR|URL", type=read.log_place, help=words.say(_ANY_LOG))
    options = verify.choices
    options.add_argument("--vkey", metavar="FILE", type=read.path, help=words.say(_VKEY))
    options.add_argument(
        "--policy",
        metavar="FILE",
        type=read.path,
        help=words.of(
            "quels témoins doivent avoir contresigné (c2sp.org/tlog-policy)",
            "which witnesses must have cosigned (c2sp.org/tlog-policy)",
        ),
    )
    options.add_argument(
        "--receipt",
        dest="receipts",
        metavar="FILE",
        action="append",
        default=[],
        type=read.path,
        help=words.of(
            "un reçu que le journal doit honorer ; peut se répéter",
            "a receipt that the log must honour; may be repeated",
        ),
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
    options.add_argument(
        "--balances",
        action="store_true",
        help=words.of(
            "recalcule aussi chaque solde depuis le journal ; il y faut la clé racine de la salle",
            "also recompute every balance from the log; needs the room's root key",
        ),
    )


def _add_export(adder: Adder) -> None:
    words, read = adder.words, adder.read
    export = adder.in_room(
        "log export",
        "écrit le journal en répertoire C2SP tlog-tiles",
        "write the log as a C2SP tlog-tiles directory",
    )
    export.places.add_argument(
        "directory",
        metavar="DIR",
        type=read.path,
        help=words.of("un répertoire nouveau, ou d'un export antérieur", "a directory, new or of an earlier export"),
    )
    export.choices.add_argument(
        "--cosigned",
        action="store_true",
        help=words.of(
            "jusqu'au dernier état qu'un quorum de témoins a contresigné, au lieu du plus récent",
            "up to the last state that a quorum of witnesses cosigned, instead of the newest",
        ),
    )


def _add_serve(adder: Adder) -> None:
    serve = adder.in_room(
        "log serve",
        "sert le journal par HTTP, aux membres, auditeurs et témoins ; il n'y faut aucune clé de la salle",
        "serve the log over HTTP, to members, auditors and witnesses; needs no key of the room",
    )
    _listen(adder, serve, 8470)


def _listen(adder: Adder, parser: Parser, port: int) -> None:
    parser.choices.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=adder.read.address,
        default=("127.0.0.1", port),
        help=adder.words.of(
            f"où écouter (par défaut 127.0.0.1:{port} ; port 0 : un port libre)",
            f"where to listen (default: 127.0.0.1:{port}; port 0: a free one)",
        ),
    )


def _every(adder: Adder, parser: Parser) -> None:
    parser.choices.add_argument(
        "--every",
        metavar="SECONDS",
        type=adder.read.count,
        help=adder.words.of(
            "recommence toutes les tant de secondes ; sinon, une fois", "again every so many seconds; without it, once"
        ),
    )


def _add_witness(adder: Adder) -> None:
    words, read = adder.words, adder.read
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
    options.add_argument(
        "--as",
        dest="party",
        required=True,
        metavar="ID",
        type=read.party,
        help=words.of("le membre dont c'est le témoin", "the member whose witness it is"),
    )
    options.add_argument(
        "--new",
        action="store_true",
        help=words.of("crée la clé et l'état du témoin, une fois", "make the witness's key and state, once"),
    )
    options.add_argument(
        "--log",
        dest="logs",
        metavar="FILE",
        action="append",
        default=[],
        type=read.path,
        help=words.of(
            "la clé publique d'un journal à contresigner désormais, reçue d'ailleurs que de l'opérateur",
            "the public key of a log to cosign from now on, had from elsewhere than the operator",
        ),
    )
    options.add_argument(
        "--follow",
        metavar="URL",
        type=read.text,
        help=words.of(
            "va lire ce journal, vérifie chaque entrée nouvelle, contresigne et remet",
            "go and read this log, verify each new entry, cosign and hand in",
        ),
    )
    _listen(adder, witness, 8471)
    _every(adder, witness)


def _add_witnesses(adder: Adder) -> None:
    words, read = adder.words, adder.read
    witnesses = adder.in_room(
        "log witnesses",
        "fixe ou montre les témoins que la salle sollicite",
        "set or show the witnesses that the room asks",
    )
    witnesses.choices.add_argument(
        "--policy",
        metavar="FILE",
        type=read.path,
        help=words.of(
            "les témoins et leur quorum (c2sp.org/tlog-policy)", "the witnesses and their quorum (c2sp.org/tlog-policy)"
        ),
    )
    witnesses.choices.add_argument(
        "--limit",
        metavar="HOURS",
        type=read.count,
        help=words.of(
            "avec --policy : sans quorum depuis tant d'heures, aucune question n'est répondue",
            "with --policy: without a quorum for so many hours, no question is answered",
        ),
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
            "avec la salle et ses clés, les détails ; d'une URL ou d'un export, la partie publique de chaque entrée",
            "shows only what is new on this machine; an Atom feed always shows the last ones\n"
            "with the room and its keys, the details; from a URL or an export, the public part of each entry",
        ),
    )
    watch.places.add_argument("target", metavar="ROOM|DIR|URL", type=read.log_place, help=words.say(_ANY_LOG))
    options = watch.choices
    options.add_argument(
        "--as",
        dest="party",
        required=True,
        metavar="ID",
        type=read.party,
        help=words.of("le membre dont ce sont les données", "the member whose data it is"),
    )
    options.add_argument(
        "--ordinal",
        metavar="N",
        type=read.ordinal,
        help=words.of(
            "son numéro dans le journal, dit à son inscription ; la première fois, hors de la salle",
            "its number in the log, told when it was registered; the first time, away from the room",
        ),
    )
    options.add_argument("--vkey", metavar="FILE", type=read.path, help=words.say(_VKEY))
    options.add_argument(
        "--format",
        choices=("text", "jsonl", "atom"),
        default="text",
        help=words.of(
            "texte, une ligne JSON par entrée, ou fil Atom (par défaut, text)",
            "text, a JSON line for each entry, or an Atom feed (default: text)",
        ),
    )
    options.add_argument(
        "--all",
        dest="everything",
        action="store_true",
        help=words.of("relit tout, depuis la première entrée", "read everything again, from the first entry on"),
    )
    _every(adder, watch)


def _add_retention(adder: Adder) -> None:
    retention = adder.in_room(
        "log retention",
        "efface les détails du journal dont le délai de conservation est échu",
        "erase the log's details whose time is over",
    )
    retention.choices.add_argument(
        "--dry-run",
        action="store_true",
        help=adder.words.of("dit ce qui serait effacé, sans rien effacer", "say what would be erased, erasing nothing"),
    )
