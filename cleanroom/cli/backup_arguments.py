"""The arguments of `backup` and `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.cli.arguments import Adder


def add_backups(adder: Adder) -> None:
    """Add the commands and their arguments."""
    read = adder.read
    backup = adder.in_room(
        "backup",
        "enregistre la salle dans un fichier, pendant qu'elle sert",
        "save the room to one file, while it is used",
        Bilingual(
            "la clé racine n'y est pas : sans elle, ce fichier n'ouvre rien ; gardez-la ailleurs",
            "the root key is not in it: without it, the file opens nothing; keep it elsewhere",
        ),
    )
    adder.valued(backup.places, "file", "FILE", read.path, "le fichier à écrire", "the file to write")
    restore = adder.command(
        "restore",
        "remet une salle sauvegardée en place, si nul ne tient la preuve d'un journal plus long",
        "put a saved room back, if nobody holds proof of a longer log",
        Bilingual(
            "une sauvegarde plus ancienne que ce qu'un autre peut prouver est refusée : elle rendrait du budget\n"
            "la copie remise en place devient la salle : celle d'où elle vient ne s'ouvre plus sur cette machine ;\n"
            "pour un essai, prenez une autre machine, avec une copie de $CLEANROOM_HOME",
            "a backup older than what somebody else can prove is refused: it would give budget back\n"
            "the copy that was put back becomes the room: the one that it comes from opens no more on this machine;\n"
            "for a drill take another machine, with a copy of $CLEANROOM_HOME",
        ),
    )
    adder.valued(restore.places, "file", "FILE", read.path, "la sauvegarde", "the backup")
    adder.valued(
        restore.places, "room", "ROOM", read.path, "un répertoire nouveau ou vide", "a directory, new or empty"
    )
    adder.valued(
        restore.choices,
        "--checkpoint",
        "FILE",
        read.path,
        "le point de contrôle, ou le dernier reçu, d'un membre ; peut se répéter",
        "a member's checkpoint, or its last receipt; may be repeated",
        action="append",
        default=[],
    )
