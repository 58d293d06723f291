"""Where a log is read from: a room's directory, an export, or a URL."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from audit_log import DatabaseSource, DirectorySource, LogUnreachable
from cleanroom.errors import Bilingual, UsageError
from cleanroom.room.creation import DATABASE
from cleanroom.room.database import connect
from cleanroom.room.log_memory import NEWEST, read_key_file, require_known_key
from cleanroom.room.logbook import is_url, log_at, served_key, unreachable

if TYPE_CHECKING:
    from contextlib import ExitStack

    from audit_log import Source, Verifier
    from cleanroom.room import Home


def source_of(home: Home, target: Path | str, vkey_file: Path | None, opened: ExitStack) -> tuple[Source, Verifier]:
    """Open a log wherever it is, as it is now; its key is the given one, or the one that is found there.

    Raises:
        UsageError: no log there.
        NotVerified: this machine knows the log under another key.
        Fault: the URL does not answer.
    """
    given = None if vkey_file is None else read_key_file(vkey_file)
    source, found = _opened(target, opened, given)
    require_known_key(home, found)
    return source, found


def _opened(target: Path | str, opened: ExitStack, given: Verifier | None) -> tuple[Source, Verifier]:
    if isinstance(target, str) and is_url(target):
        newest = opened.enter_context(closing(log_at(target.rstrip("/") + NEWEST)))
        plain = opened.enter_context(closing(log_at(target)))
        try:
            source = newest if newest.read("checkpoint", 1 << 20) is not None else plain
        except LogUnreachable as error:
            raise unreachable(error) from None
        return source, given or served_key(source)
    place = Path(target)
    if not (place / DATABASE).exists() and not (place / "checkpoint").exists():
        raise UsageError(
            Bilingual(f"{place} n'est ni une salle ni un journal exporté", f"{place}: neither a room nor a log"),
            code="no_log",
        )
    log = given or read_key_file(place / "log.vkey")
    if not (place / DATABASE).exists():
        return DirectorySource(place), log
    return DatabaseSource(opened.enter_context(closing(connect(place / DATABASE))), log.vkey), log
