"""Reserve from a ledger on disk until told that nothing is left; say each reservation once it is durable.

python asker.py DATABASE NAME COUNT STEPS
"""

from __future__ import annotations

import os
import sqlite3
import sys

from cleanroom.accounting import ledger
from cleanroom.accounting.account import ROOM, AccountId, Charge
from cleanroom.accounting.privacy_loss import Rho
from cleanroom.accounting.reservation import InsufficientBudget
from cleanroom.identifiers import Digest, PartyId

TABLE = AccountId.parse("tnm.visits")


def main(database: str, name: str, count: str, steps: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None, timeout=60)
    connection.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing that the kernel has
    os.write(1, b"ready\n")
    for number in range(int(count)):
        connection.execute("BEGIN")
        try:
            ledger.reserve(
                connection,
                reservation_id=f"{name}-{number}",
                plan_digest=Digest.of(b"plan"),
                party=PartyId("osm"),
                charges=[Charge(ROOM, Rho(int(steps))), Charge(TABLE, Rho(int(steps)))],
                caps=(),
                at=0,
            )
        except InsufficientBudget:
            connection.execute("ROLLBACK")
            os.write(1, b"refused\n")
            continue
        connection.execute("COMMIT")
        os.write(1, f"{name}-{number}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
