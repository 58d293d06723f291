"""The ledger's tables in the caller's SQLite database.

`rho_max`, `rho` and the totals count steps of the account's kind of loss: rho, or epsilon where its delta is 0 (S11).
`ended_line` is the ledger's last line when the owner last took the table back, 0 if never: what was spent up to it
counts with the owner's other tables ever after (S4).
"""

from __future__ import annotations

from typing import Final

DELTA_STEPS: Final = 10**30
"""Threshold deltas are entered in whole steps of 1e-30, rounded up, so that sums stay exact and short."""

SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS ledger_clock (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        last INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS ledger_account (
        account TEXT PRIMARY KEY,
        epsilon TEXT NOT NULL,
        delta TEXT NOT NULL,
        spending_window TEXT NOT NULL CHECK (spending_window IN ('never', 'month', 'year')),
        rho_max INTEGER NOT NULL CHECK (rho_max >= 0),
        ended_line INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS ledger_reservation (
        reservation TEXT PRIMARY KEY,
        plan_digest BLOB NOT NULL CHECK (length(plan_digest) = 32),
        party TEXT NOT NULL,
        at INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('reserved', 'data_read', 'released', 'failed'))
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS ledger_line (
        line INTEGER PRIMARY KEY,
        reservation TEXT NOT NULL REFERENCES ledger_reservation (reservation),
        account TEXT NOT NULL REFERENCES ledger_account (account),
        party TEXT NOT NULL,
        at INTEGER NOT NULL,
        rho INTEGER NOT NULL CHECK (rho > 0),
        delta_steps TEXT NOT NULL,
        account_rho INTEGER NOT NULL,
        account_delta_steps TEXT NOT NULL,
        party_rho INTEGER NOT NULL,
        UNIQUE (reservation, account)
    ) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS ledger_line_of_account ON ledger_line (account, at, line)",
    "CREATE INDEX IF NOT EXISTS ledger_line_of_party ON ledger_line (account, party, at, line)",
    """
    CREATE INDEX IF NOT EXISTS ledger_reservation_unfinished ON ledger_reservation (state)
    WHERE state IN ('reserved', 'data_read')
    """,
    *(
        f"""
        CREATE TRIGGER IF NOT EXISTS {table}_never_{verb}d BEFORE {verb.upper()} ON {table}
        BEGIN SELECT raise(ABORT, 'what was spent stays spent'); END
        """
        for table, verb in (("ledger_line", "update"), ("ledger_line", "delete"), ("ledger_reservation", "delete"))
    ),
)
"""`rho`, `account_rho` and `party_rho` are 1e-12 steps; the last two are totals with this line, for ever."""
