"""A register of accesses as a document: the rows, and beside them what proves that none is missing.

`rows` and `erasures` are what a register shows; `completeness` lists every entry of the period that touches a member,
by its dense counter; `receipts` prove the rows' entries under `checkpoint`. `register_check` needs nothing else but the
log.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual
from cleanroom.room import registry
from cleanroom.room.access_register import Access
from cleanroom.room.witnesses import cosign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.room.access_register import AccessRegister
    from cleanroom.room.room import Room

VERSION: Final = "cleanroom/register/access/v4"
HEADINGS: Final[Mapping[str, Bilingual]] = {
    "entry": Bilingual("Entrée du journal", "Log entry"),
    "counter": Bilingual("N° de l'entrée pour le membre", "Entry no. for the member"),
    "at": Bilingual("Moment (UTC)", "Time (UTC)"),
    "party": Bilingual("Demandeur", "Requested by"),
    "role": Bilingual("Qualité du demandeur", "Role of the requester"),
    "purpose": Bilingual("Finalité", "Purpose"),
    "purpose_text": Bilingual("Description de la finalité", "Purpose in words"),
    "legal": Bilingual("Base légale", "Legal ground"),
    "member": Bilingual("Organisation dont les données sont lues", "Organisation whose data is read"),
    "tables": Bilingual("Tables et versions", "Tables and versions"),
    "columns": Bilingual("Catégories de renseignements (colonnes)", "Categories of information (columns)"),
    "rules": Bilingual("Règles appliquées", "Rules applied"),
    "policy": Bilingual("Empreinte des règles", "Digest of the rules"),
    "plan": Bilingual("Empreinte de la question", "Digest of the question"),
    "request": Bilingual("Demande signée", "Signed request"),
    "question": Bilingual("Question", "Question"),
    "cost": Bilingual("Coût (rho)", "Cost (rho)"),
    "charged_by": Bilingual("Imputée d'abord par les entrées", "First charged by the entries"),
    "outcome": Bilingual("Issue", "Outcome"),
    "key_entry": Bilingual("Entrée de l'ouverture des clés", "Entry of the keys' opening"),
    "outcome_entry": Bilingual("Entrée de l'issue", "Entry of the outcome"),
    "answered_at": Bilingual("Moment de l'issue (UTC)", "Time of the outcome (UTC)"),
    "details": Bilingual("Détails conservés", "Details kept"),
    "erasable_at": Bilingual("Détails effaçables à partir du", "Details erasable from"),
    "recipients": Bilingual("Destinataires de la réponse", "Recipients of the answer"),
}
OUTCOMES: Final[Mapping[str, Bilingual]] = {
    "released": Bilingual("réponse bruitée communiquée", "noised answer communicated"),
    "reused": Bilingual("réponse conservée communiquée de nouveau", "stored answer communicated again"),
    "failed": Bilingual("panne après lecture, rien communiqué", "failed after reading, nothing communicated"),
    "open": Bilingual("sans issue consignée", "no outcome entered"),
}
FIELDS: Final = (*(each.name for each in fields(Access)), "recipients")


def row_fields(row: Access) -> dict[str, object]:
    """Return a row by its fields, in the order of `FIELDS`."""
    return {**asdict(row), "recipients": row.recipients}


def document(room: Room, register: AccessRegister) -> dict[str, object]:
    """Return a register and its proof as one document of plain values; no transaction is open."""
    cosign(room)
    log, connection = room.journal.log, room.connection
    record = room.facts.settings.record
    proved = sorted(
        {
            entry
            for row in register.rows
            for entry in (row.entry, *row.charged_by, row.key_entry, row.outcome_entry)
            if entry is not None
        }
    )
    known = registry.parties(connection)
    return {
        "register": VERSION,
        "room": room.room_id,
        "controller": record.controller,
        "officer": record.officer,
        "reader": register.reader.party,
        "mandates": [
            {
                "giver": each.giver,
                "events": [kind.value for kind in each.scope.events],
                "since": each.scope.since,
                "until": each.scope.until,
            }
            for each in register.mandates
        ],
        "wanted": register.wanted.content(),
        "headings": {name: {"fr": words.fr, "en": words.en} for name, words in HEADINGS.items()},
        "parties": {
            name: {"ordinal": each.ordinal, "role": each.role.value, "pseudonym": room.journal.pseudonym(name)}
            for name, each in known.items()
        },
        "rows": [row_fields(row) for row in register.rows],
        "erasures": [asdict(each) for each in register.erasures],
        "completeness": {
            each.party: {
                "before": register.before[each.party],
                "entries": [[found.counter, found.entry, found.kind.value] for found in register.counters[each.party]],
            }
            for each in register.members
        },
        "size": register.size,
        "log_key": log.verifier.vkey,
        "checkpoint": log.checkpoint(connection).decode("utf-8"),
        "receipts": {str(entry): log.receipt(connection, entry).decode("utf-8") for entry in proved},
    }
