"""Look up what was charged to an account since a time or ever, the owner's tables taken back included (S4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from cleanroom.accounting.account import AccountId
from cleanroom.accounting.privacy_loss import PureEpsilon

if TYPE_CHECKING:
    import sqlite3

    from cleanroom.identifiers import PartyId

_LATEST: Final = 2**63 - 1
"""Later than any time, and above any line."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What counts against an account.

    Args:
        steps: of its kind of loss, those of the owner's other tables until these were taken back included.
        inherited: how many of these are the other tables'.
        beyond_counting: whether such a table was charged in rho, which no pure account can count.
    """

    steps: int
    delta_steps: int
    inherited: int
    beyond_counting: bool


def spent(
    connection: sqlite3.Connection, account: AccountId, *, pure: bool, since: int | None, party: PartyId | None = None
) -> Spent:
    """Add up what was charged to an account, and to its owner's tables taken back, since a time or ever."""
    steps, delta_steps = steps_of(connection, account, since, party=party)
    inherited, beyond = 0, False
    for gone, gone_pure, last in _gone(connection, account):
        more, delta_more = steps_of(connection, gone, since, party=party, last=last)
        delta_steps += delta_more
        if gone_pure == pure:
            inherited += more
        elif pure:
            beyond = beyond or more > 0
        else:
            inherited += PureEpsilon(more).rho.pico
    return Spent(steps + inherited, delta_steps, inherited, beyond)


def _gone(connection: sqlite3.Connection, account: AccountId) -> list[tuple[AccountId, bool, int]]:
    """Return the accounts of the owner's other tables taken back: whether each is pure, and its last line that counts.

    No name has a character between the dot and the slash, so the owner's accounts lie between these, and no others.
    """
    if account.table is None:
        return []
    rows = connection.execute(
        "SELECT account, delta, ended_line FROM ledger_account WHERE account > ?1 || '.' AND account < ?1 || '/'"
        " AND account <> ?2 AND ended_line > 0 ORDER BY account",
        (account.table.owner, str(account)),
    ).fetchall()
    return [(AccountId.parse(name), Fraction(delta) == 0, last) for name, delta, last in rows]


def steps_of(
    connection: sqlite3.Connection,
    account: AccountId,
    since: int | None,
    *,
    party: PartyId | None = None,
    last: int = _LATEST,
) -> tuple[int, int]:
    """Return the steps of loss and of delta charged to one account since a time, or ever; by one party, or by all.

    Times never go back along the lines, so the last line before a time carries the total up to it.
    """
    total, delta = _total(connection, account, party, _LATEST, last)
    if since is None:
        return total, delta
    earlier, delta_earlier = _total(connection, account, party, since, last)
    return total - earlier, delta - delta_earlier


def _total(
    connection: sqlite3.Connection, account: AccountId, party: PartyId | None, before: int, last: int
) -> tuple[int, int]:
    columns = "account_rho, account_delta_steps" if party is None else "party_rho, 0"
    asked = "" if party is None else "AND party = ?2"
    row = connection.execute(
        f"SELECT {columns} FROM ledger_line WHERE account = ?1 {asked} AND at < ?3 AND line <= ?4"  # noqa: S608
        " ORDER BY at DESC, line DESC LIMIT 1",
        (str(account), party, before, last),
    ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def last_seen(connection: sqlite3.Connection) -> int:
    """Return the last time that the ledger has seen; 0 before the first."""
    row = connection.execute("SELECT last FROM ledger_clock WHERE only = 1").fetchone()
    return 0 if row is None else int(row[0])
