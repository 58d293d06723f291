"""What verification found, and how to say it in French and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from audit_log.checkpoint import Checkpoint

Language: TypeAlias = Literal["fr", "en"]


class Finding(StrEnum):
    """The closed list of what verification can find."""

    VERIFIED = "verified"
    KEY_DIFFERS = "key-differs"
    CHECKPOINT_MALFORMED = "checkpoint-malformed"
    SIGNATURE_WRONG = "signature-wrong"
    FILE_MISSING = "file-missing"
    FILE_EXTRA = "file-extra"
    FILE_LENGTH = "file-length"
    ENTRY_MALFORMED = "entry-malformed"
    ENTRY_ALTERED = "entry-altered"
    TILE_ALTERED = "tile-altered"
    ROOT_DIFFERS = "root-differs"
    OTHER_LOG = "other-log"
    ROLLED_BACK = "rolled-back"
    HISTORY_REWRITTEN = "history-rewritten"
    RECEIPT_MALFORMED = "receipt-malformed"
    RECEIPT_WRONG = "receipt-wrong"
    DATABASE_UNREADABLE = "database-unreadable"
    HEAD_DIFFERS = "head-differs"
    ROW_MISSING = "row-missing"
    ROW_EXTRA = "row-extra"
    DETAILS_MISSING = "details-missing"
    DETAILS_ALTERED = "details-altered"
    ERASURE_UNLOGGED = "erasure-unlogged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification: verified, or the first thing that is wrong.

    Attributes:
        code: what was found.
        place: the file below the exported directory, the table of the database, or the receipt.
        index: the entry concerned, from 0; -1 if no single entry is.
        checkpoint: the log's signed state, as soon as its signature was verified.
    """

    code: Finding
    place: str = ""
    index: int = -1
    checkpoint: Checkpoint | None = None

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.code is Finding.VERIFIED


_TEXTS: Final[Mapping[Finding, Mapping[Language, str]]] = {
    Finding.VERIFIED: {
        "fr": "Tout concorde : {size} entrées, signature, arbre et contenus.",
        "en": "Everything agrees: {size} entries, signature, tree and contents.",
    },
    Finding.KEY_DIFFERS: {
        "fr": "{place} n'est pas la clé publique donnée pour la vérification.",
        "en": "{place} is not the public key given for verification.",
    },
    Finding.CHECKPOINT_MALFORMED: {
        "fr": "{place} : le point de contrôle n'a pas la forme prescrite.",
        "en": "{place}: the checkpoint is not in the prescribed form.",
    },
    Finding.SIGNATURE_WRONG: {
        "fr": "{place} : la signature du journal n'est pas valable.",
        "en": "{place}: the log's signature does not hold.",
    },
    Finding.FILE_MISSING: {"fr": "Il manque le fichier {place}.", "en": "The file {place} is missing."},
    Finding.FILE_EXTRA: {
        "fr": "Le fichier {place} n'appartient pas au journal.",
        "en": "The file {place} does not belong to the log.",
    },
    Finding.FILE_LENGTH: {
        "fr": "Le fichier {place} est tronqué ou trop long.",
        "en": "The file {place} is truncated or too long.",
    },
    Finding.ENTRY_MALFORMED: {
        "fr": "{place} : l'entrée {index} n'a pas la forme prescrite.",
        "en": "{place}: entry {index} is not in the prescribed form.",
    },
    Finding.ENTRY_ALTERED: {
        "fr": "{place} : l'entrée {index} n'est pas celle qui a été signée.",
        "en": "{place}: entry {index} is not the one that was signed.",
    },
    Finding.TILE_ALTERED: {
        "fr": "{place} ne correspond pas aux entrées (à partir de l'entrée {index}).",
        "en": "{place} does not match the entries (from entry {index}).",
    },
    Finding.ROOT_DIFFERS: {
        "fr": "{place} : les entrées ne donnent pas la racine signée.",
        "en": "{place}: the entries do not make the signed root.",
    },
    Finding.OTHER_LOG: {
        "fr": "{place} : le point de contrôle retenu est celui d'un autre journal.",
        "en": "{place}: the remembered checkpoint is another log's.",
    },
    Finding.ROLLED_BACK: {
        "fr": "{place} : le journal a reculé ; il manque des entrées à partir de la {index}, signées auparavant.",
        "en": "{place}: the log was rolled back; entries from {index} on, signed before, are missing.",
    },
    Finding.HISTORY_REWRITTEN: {
        "fr": "{place} : le passé a été réécrit ; le journal ne contient pas le point de contrôle retenu.",
        "en": "{place}: history was rewritten; the log does not contain the remembered checkpoint.",
    },
    Finding.RECEIPT_MALFORMED: {
        "fr": "{place} n'a pas la forme prescrite.",
        "en": "{place} is not in the prescribed form.",
    },
    Finding.RECEIPT_WRONG: {
        "fr": "{place} ne prouve pas l'entrée {index} de ce journal.",
        "en": "{place} does not prove entry {index} of this log.",
    },
    Finding.DATABASE_UNREADABLE: {
        "fr": "{place} : la base de données ne se lit pas.",
        "en": "{place}: the database cannot be read.",
    },
    Finding.HEAD_DIFFERS: {
        "fr": "{place} : l'état courant n'est pas celui qui a été signé en dernier.",
        "en": "{place}: the present state is not the one that was signed last.",
    },
    Finding.ROW_MISSING: {
        "fr": "{place} : la ligne {index} manque.",
        "en": "{place}: row {index} is missing.",
    },
    Finding.ROW_EXTRA: {
        "fr": "{place} : la ligne {index} n'appartient pas au journal.",
        "en": "{place}: row {index} does not belong to the log.",
    },
    Finding.DETAILS_MISSING: {
        "fr": "{place} : les détails de l'entrée {index} manquent sans effacement consigné.",
        "en": "{place}: the details of entry {index} are missing without a logged erasure.",
    },
    Finding.DETAILS_ALTERED: {
        "fr": "{place} : les détails de l'entrée {index} ne sont pas ceux qu'elle scelle.",
        "en": "{place}: the details of entry {index} are not those that it seals.",
    },
    Finding.ERASURE_UNLOGGED: {
        "fr": "{place} : l'effacement des détails de l'entrée {index} n'est pas consigné comme il se doit.",
        "en": "{place}: the erasure of the details of entry {index} is not logged as it must be.",
    },
}


def explain(verdict: Verdict, language: Language) -> str:
    """Say a verdict in one sentence.

    Args:
        verdict: what verification found.
        language: "fr" or "en".
    """
    size = 0 if verdict.checkpoint is None else verdict.checkpoint.size
    return _TEXTS[verdict.code][language].format(place=verdict.place, index=verdict.index, size=size)
