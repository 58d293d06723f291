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
    QUORUM_MISSING = "quorum-missing"
    POLICY_UNMET = "policy-unmet"
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
        last: where only a range of entries can be named, the last of them; else -1.
        names: of a missing quorum, the witnesses that did cosign.
        since: entries before this one were verified by an earlier run and not read again.
    """

    code: Finding
    place: str = ""
    index: int = -1
    checkpoint: Checkpoint | None = None
    last: int = -1
    names: tuple[str, ...] = ()
    since: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.code is Finding.VERIFIED


# Each says what an auditor who is no technician can do with it: what happened, to which entry, and only then where.
_TEXTS: Final[Mapping[Finding, Mapping[Language, str]]] = {
    Finding.VERIFIED: {
        "fr": "Tout concorde : {size} entrées, signature, arbre et contenus.",
        "en": "Everything agrees: {size} entries, signature, tree and contents.",
    },
    Finding.KEY_DIFFERS: {
        "fr": "Ce journal se présente avec une autre clé publique que celle que vous avez donnée ({place}) : ce n'est "
        "pas le même journal, ou son exploitant a changé de clé sans vous le dire.",
        "en": "This log comes with another public key than the one you gave ({place}): it is not the same log, or its "
        "operator changed keys without telling you.",
    },
    Finding.CHECKPOINT_MALFORMED: {
        "fr": "L'attestation signée de l'état du journal est illisible ({place}) : elle a été abîmée ou modifiée.",
        "en": "The signed statement of the log's state cannot be read ({place}): it was damaged or changed.",
    },
    Finding.SIGNATURE_WRONG: {
        "fr": "La signature du journal n'est pas valable ({place}) : l'état montré n'est pas celui que la clé a signé.",
        "en": "The log's signature does not hold ({place}): the state shown is not the one that the key signed.",
    },
    Finding.QUORUM_MISSING: {
        "fr": "Les témoins que votre politique exige n'ont pas tous contresigné cet état du journal ({place}) ; ont "
        "contresigné : {names}.",
        "en": "Not all the witnesses that your policy demands have cosigned this state of the log ({place}); cosigned "
        "by: {names}.",
    },
    Finding.POLICY_UNMET: {
        "fr": "Votre politique n'accepte pas cet état du journal ({place}) : le journal n'y figure pas, ou la "
        "contresignature d'un témoin connu est fausse.",
        "en": "Your policy does not accept this state of the log ({place}): the log is not listed in it, or the "
        "cosignature of a known witness is false.",
    },
    Finding.FILE_MISSING: {
        "fr": "Il manque le fichier {place} : une partie du journal signé n'est pas là.",
        "en": "The file {place} is missing: a part of the signed log is not there.",
    },
    Finding.FILE_EXTRA: {
        "fr": "Le fichier {place} n'appartient pas au journal signé : il a été ajouté.",
        "en": "The file {place} does not belong to the signed log: it was added.",
    },
    Finding.FILE_LENGTH: {
        "fr": "Le fichier {place} est tronqué ou trop long : des octets y manquent ou y ont été ajoutés.",
        "en": "The file {place} is truncated or too long: bytes are missing from it or were added.",
    },
    Finding.ENTRY_MALFORMED: {
        "fr": "{Entries} est signée, mais n'a pas la forme prescrite ({place}) : le journal n'a pas été écrit par ce "
        "logiciel, ou l'a été par un logiciel fautif.",
        "en": "{Entries} is signed, but not in the prescribed form ({place}): the log was not written by this "
        "software, or by software at fault.",
    },
    Finding.ENTRY_ALTERED: {
        "fr": "{Entries} n'est pas celle qui a été signée ({place}) : elle a été changée, remplacée ou déplacée après "
        "coup.",
        "en": "{Entries} is not the one that was signed ({place}): it was changed, replaced or moved afterwards.",
    },
    Finding.TILE_ALTERED: {
        "fr": "Toutes les entrées sont celles qui ont été signées, mais une empreinte enregistrée à côté a été "
        "changée : {place}, à partir de l'entrée {index}.",
        "en": "All entries are those that were signed, but a fingerprint stored beside them was changed: {place}, from "
        "entry {index} on.",
    },
    Finding.ROOT_DIFFERS: {
        "fr": "Les entrées et leurs empreintes concordent entre elles, mais ne sont pas ce qui a été signé ({place}) : "
        "le journal a été refait sans la clé.",
        "en": "Entries and fingerprints agree with each other, but are not what was signed ({place}): the log was made "
        "again without the key.",
    },
    Finding.OTHER_LOG: {
        "fr": "L'état retenu lors d'une vérification précédente est celui d'un autre journal ({place}).",
        "en": "The state remembered from an earlier verification is another log's ({place}).",
    },
    Finding.ROLLED_BACK: {
        "fr": "Le journal a reculé ({place}) : les entrées à partir de la {index}, signées et vues auparavant, n'y "
        "sont plus.",
        "en": "The log was rolled back ({place}): entries from {index} on, signed and seen before, are gone.",
    },
    Finding.HISTORY_REWRITTEN: {
        "fr": "Le passé a été réécrit ({place}) : le journal ne contient plus ce qui avait été signé et vu auparavant. "
        "Deux versions signées existent ; gardez-les toutes deux, elles le prouvent.",
        "en": "History was rewritten ({place}): the log no longer contains what was signed and seen before. Two signed "
        "versions exist; keep both, they prove it.",
    },
    Finding.RECEIPT_MALFORMED: {
        "fr": "Le reçu est illisible ({place}) : il a été abîmé, ou ce n'est pas un reçu.",
        "en": "The receipt cannot be read ({place}): it was damaged, or is no receipt.",
    },
    Finding.RECEIPT_WRONG: {
        "fr": "Le reçu ne prouve pas l'entrée {index} de ce journal ({place}).",
        "en": "The receipt does not prove entry {index} of this log ({place}).",
    },
    Finding.DATABASE_UNREADABLE: {
        "fr": "La base de données du journal ne se lit pas ({place}).",
        "en": "The log's database cannot be read ({place}).",
    },
    Finding.HEAD_DIFFERS: {
        "fr": "L'état courant du journal n'est pas celui qui a été signé en dernier ({place}).",
        "en": "The log's present state is not the one that was signed last ({place}).",
    },
    Finding.ROW_MISSING: {
        "fr": "Il manque quelque chose au journal signé : la ligne {index} de {place}.",
        "en": "Something of the signed log is missing: row {index} of {place}.",
    },
    Finding.ROW_EXTRA: {
        "fr": "Quelque chose a été ajouté au journal sans être signé : la ligne {index} de {place}.",
        "en": "Something was added to the log without being signed: row {index} of {place}.",
    },
    Finding.DETAILS_MISSING: {
        "fr": "Les détails de l'entrée {index} manquent, et aucun effacement n'est consigné ({place}).",
        "en": "The details of entry {index} are missing, and no erasure is logged ({place}).",
    },
    Finding.DETAILS_ALTERED: {
        "fr": "Les détails de l'entrée {index} ne sont pas ceux qu'elle scelle ({place}) : ils ont été changés après "
        "coup.",
        "en": "The details of entry {index} are not those that it seals ({place}): they were changed afterwards.",
    },
    Finding.ERASURE_UNLOGGED: {
        "fr": "Les détails de l'entrée {index} ont été effacés sans que l'effacement soit consigné comme il se doit "
        "({place}).",
        "en": "The details of entry {index} were erased, and the erasure is not logged as it must be ({place}).",
    },
}

_CONTINUED: Final[Mapping[Language, str]] = {
    "fr": "Tout concorde : {size} entrées. Les {new} nouvelles ont été vérifiées une à une ; les {since} premières "
    "l'avaient été auparavant, et sont prouvées inchangées.",
    "en": "Everything agrees: {size} entries. The {new} new ones were verified one by one; the first {since} were "
    "verified before, and are proved unchanged.",
}

_UNCHANGED: Final[Mapping[Language, str]] = {
    "fr": "Tout concorde : {size} entrées. Aucune n'est nouvelle ; toutes ont été vérifiées auparavant, et sont "
    "prouvées inchangées.",
    "en": "Everything agrees: {size} entries. None of them is new; all were verified before, and are proved unchanged.",
}


def explain(verdict: Verdict, language: Language) -> str:
    """Say a verdict in a sentence or two that need no knowledge of how a log is made.

    Args:
        verdict: what verification found.
        language: "fr" or "en".
    """
    size = 0 if verdict.checkpoint is None else verdict.checkpoint.size
    text = _TEXTS[verdict.code]
    if verdict.ok and verdict.since:
        text = _UNCHANGED if verdict.since == size else _CONTINUED
    return text[language].format(
        place=verdict.place,
        index=verdict.index,
        Entries=_entries(verdict, language),
        names=", ".join(verdict.names) or ("personne" if language == "fr" else "nobody"),
        size=size,
        since=verdict.since,
        new=size - verdict.since,
    )


def _entries(verdict: Verdict, language: Language) -> str:
    if verdict.last <= verdict.index:
        return f"L'entrée {verdict.index}" if language == "fr" else f"Entry {verdict.index}"
    if language == "fr":
        return f"L'une des entrées {verdict.index} à {verdict.last}"
    return f"One of the entries {verdict.index} to {verdict.last}"
