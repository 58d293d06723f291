"""Hold a room's log against what this machine saw of it, and say in words for people when it is older or altered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from audit_log import LogFault
from audit_log import NotVerified as LogNotVerified
from cleanroom.errors import Bilingual, NotVerified

if TYPE_CHECKING:
    import sqlite3

    from audit_log import Checkpoint, Log

_CODE: Final = "log_not_verified"


def unverified(error: LogFault | LogNotVerified) -> NotVerified:
    """Return the refusal to go on with a log that does not verify."""
    return NotVerified(
        Bilingual(f"le journal ne se vérifie pas : {error}", f"the log does not verify: {error}"), code=_CODE
    )


def require_seen(log: Log, connection: sqlite3.Connection, remembered: Checkpoint | None) -> None:
    """Require that a room's log is whole and contains what this machine saw of it.

    Args:
        remembered: the newest checkpoint that this machine saw.

    Raises:
        NotVerified: it is not; an older copy, which has forgotten what was spent since, is told apart (S4).
        LogFault, audit_log.NotVerified: it does not even verify by itself.
    """
    try:
        log.verify_head(connection, remembered)
    except (LogFault, LogNotVerified) as error:
        held = log.verify_head(connection)
        if remembered is None or held.origin != remembered.origin or held.size >= remembered.size:
            raise unverified(error) from None
        raise NotVerified(
            Bilingual(
                f"cette salle est plus ancienne que ce que cette machine en a vu : {held.size} entrées sont à son "
                f"journal, {remembered.size} étaient signées. C'est une copie d'avant, ou la salle dont une "
                "sauvegarde fut remise en place ici : c'est l'autre qui continue",
                f"this room is older than what this machine saw of it: its log has {held.size} entries, "
                f"{remembered.size} were signed. It is an earlier copy, or the room of which a backup was put back "
                "here: the other one goes on",
            ),
            code=_CODE,
        ) from None
