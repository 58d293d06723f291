"""What entries of the log are called, in French and English."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from audit_log import EventType, Outcome
from cleanroom.cli.text import visible
from cleanroom.errors import Bilingual, CleanroomError, Language
from cleanroom.partition.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cleanroom.room.log_reading import LogLine

EVENTS: Final[Mapping[EventType, Bilingual]] = {
    EventType.ROOM_CREATED: Bilingual("salle créée", "room made"),
    EventType.ROOM_SAVED: Bilingual("salle sauvegardée", "room saved"),
    EventType.ROOM_RESTORED: Bilingual("sauvegarde remise en place", "backup put back"),
    EventType.PARTY_ADDED: Bilingual("partie inscrite", "party registered"),
    EventType.PARTY_REMOVED: Bilingual("partie retirée", "party removed"),
    EventType.TABLE_DECLARED: Bilingual("table déclarée", "table declared"),
    EventType.REFERENCE_ADDED: Bilingual("table publique ajoutée", "public table added"),
    EventType.POLICY_APPROVED: Bilingual("règle approuvée", "policy approved"),
    EventType.BUDGET_GRANTED: Bilingual("budget accordé", "budget granted"),
    EventType.LINKAGE_REGISTERED: Bilingual("clé d'appariement inscrite", "linkage key registered"),
    EventType.DATASET_UPLOADED: Bilingual("données déposées", "data handed in"),
    EventType.DATASET_WITHDRAWN: Bilingual("données retirées", "data withdrawn"),
    EventType.DATASET_ERASED: Bilingual("données effacées", "data erased"),
    EventType.UPLOAD_REFUSED: Bilingual("dépôt refusé", "upload refused"),
    EventType.QUERY_CHARGED: Bilingual("question imputée", "question charged"),
    EventType.QUERY_RELEASED: Bilingual("réponse sortie", "answer released"),
    EventType.QUERY_REUSED: Bilingual("réponse conservée ressortie, gratuite", "stored answer released again, free"),
    EventType.QUERY_FAILED: Bilingual("question en panne", "question failed"),
    EventType.QUERY_REFUSED: Bilingual("question refusée", "question refused"),
    EventType.QUERY_PREVIEWED: Bilingual("aperçu d'une question", "question previewed"),
    EventType.CATALOG_READ: Bilingual("catalogue lu", "catalog read"),
    EventType.BUDGET_READ: Bilingual("budget lu", "budget read"),
    EventType.LOG_READ: Bilingual("journal lu", "log read"),
    EventType.LOG_EXPORTED: Bilingual("journal exporté", "log exported"),
    EventType.KEY_REGISTERED: Bilingual("clé inscrite", "key registered"),
    EventType.KEY_ROTATED: Bilingual("clé renouvelée", "key rotated"),
    EventType.KEY_USED: Bilingual("clés ouvertes", "keys opened"),
    EventType.KEY_DESTROYED: Bilingual("clé détruite", "key destroyed"),
    EventType.MANDATE_GIVEN: Bilingual("mandat donné à un auditeur", "mandate given to an auditor"),
    EventType.MANDATE_WITHDRAWN: Bilingual("mandat retiré à un auditeur", "mandate withdrawn from an auditor"),
    EventType.ACCESS_REFUSED: Bilingual("accès refusé", "access refused"),
    EventType.DETAILS_ERASED: Bilingual("détails effacés", "details erased"),
    EventType.RETENTION_EXECUTED: Bilingual("détails effacés à terme", "details erased by age"),
    EventType.WITNESSES_SET: Bilingual("témoins fixés", "witnesses set"),
    EventType.WITNESS_FAILED: Bilingual("témoin sans contresigner", "witness did not cosign"),
    EventType.WITNESS_RETURNED: Bilingual("témoin de retour", "witness is back"),
}

OUTCOMES: Final[Mapping[Outcome, Bilingual]] = {
    Outcome.OK: Bilingual("fait", "done"),
    Outcome.REFUSED: Bilingual("refusé", "refused"),
    Outcome.ERROR: Bilingual("panne", "error"),
}

_WIDEST_SUBJECT: Final = 60


def moment(seconds: int) -> datetime:
    """Return a Unix time as a moment, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def purpose_of(line: LogLine) -> str:
    """Return an entry's purpose as the room writes it; its public part has no `_`."""
    code, details = line.envelope.event.purpose, line.details or {}
    content = details.get("content")
    asked = content.get("purpose") if isinstance(content, dict) else None
    written = details.get("purpose", asked)
    return written if isinstance(written, str) else code.replace("-", "_")


def subject(line: LogLine, language: Language) -> str:
    """Return in a few words what an entry is about."""
    details, caused_by = line.details, line.envelope.event.caused_by
    if line.withheld:
        return Bilingual("(scellé pour d'autres)", "(sealed for others)").into(language)
    if details is None:
        return Bilingual("(détails effacés)", "(details erased)").into(language)
    content = details.get("content")
    if isinstance(content, dict) and isinstance(content.get("sql"), str):
        return _shortened(" ".join(content["sql"].split()))
    manifest = details.get("manifest")
    if isinstance(manifest, str):
        with suppress(CleanroomError):
            return _shortened(f"{Manifest.parse(manifest.encode()).table}, v{details.get('number')}")
    for name in ("auditor", "party", "table", "ground", "act", "reason", "cause", "format"):
        value = details.get(name)
        if isinstance(value, str) and value:
            return _shortened(value)
    return "" if caused_by < 0 else f"→ {caused_by}"


def _shortened(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _WIDEST_SUBJECT else f"{shown[: _WIDEST_SUBJECT - 1]}…"
