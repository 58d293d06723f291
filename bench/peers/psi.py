"""Ask openmined-psi for the size of the overlap (Q7); run in its own environment (`psi.txt`). It adds no noise.

Both parties' work is measured, in one process. The protocol costs the same for each person, so larger sets are measured
on their first `MOST` persons a side and said with the factor that is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import private_set_intersection.python as psi
import pyarrow.parquet as pq
from clock import Clock, questions

MOST = 20_000
FALSE_POSITIVES = 1e-9


def visitors(path: str, venue: int) -> list[str]:
    table = pq.read_table(path, columns=["person_id", "venue"], filters=[("venue", "=", venue)])
    return sorted(set(table.column("person_id").to_pylist()))


def overlap(here: list[str], there: list[str]) -> int:
    client = psi.client.CreateWithNewKey(False)
    server = psi.server.CreateWithNewKey(False)
    setup = server.CreateSetupMessage(FALSE_POSITIVES, len(here), there, psi.DataStructure.GCS)
    answer = server.ProcessRequest(client.CreateRequest(here))
    return int(client.GetIntersectionSize(setup, answer))


def asked(path: str) -> Iterator[dict[str, object]]:
    for number in range(1, 9):
        if f"Q{number}" not in questions():
            continue
        if number != 7:
            yield {"q": f"Q{number}", "variant": "", "unsupported": "sizes of two sets' overlap only"}
            continue
        here, there = visitors(path, 1), visitors(path, 2)
        factor = max(1.0, max(len(here), len(there)) / MOST)
        with Clock() as clock:
            size = overlap(here[:MOST], there[:MOST])
        said = {**clock.said, "cpu": clock.said["cpu"] * factor, "wall": clock.said["wall"] * factor}
        yield {"q": "Q7", "variant": f"×{factor:.1f}", "cells": {"all": size}, **said, "factor": factor}


def main() -> None:
    for line in asked(sys.argv[1]):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
