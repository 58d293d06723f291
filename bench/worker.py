"""Measure one thing in a process of its own: `python -m bench.worker KIND ARGUMENTS`, both as JSON in and out.

A fresh process for each thing keeps one's memory and warm caches out of the other's figures.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.data import MEMBERS, BenchData
from bench.measure import Series, peak_mebibytes, repeated, timed
from bench.questions import BY_ID
from bench.sales_worker import sales_prepare, sales_questions, sales_raw
from bench.scale import linear_ask, linear_prepare, scale_ask, scale_members

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.room import Answer, Session

TOP: Final = 12
LOG_ENTRIES: Final = 300


def questions(room: str, ids: list[str], repeat: int) -> dict[str, Any]:
    """Ask each question in the room: once to warm up, then `repeat` times."""
    from bench.exact import lines_of_frame
    from bench.house import ASKER, PURPOSE, forget_answers, open_room
    from bench.stages import TICK, Stages

    found = {}
    ticks = Stages()
    ticks.install((TICK,))
    with open_room(Path(room)) as opened:
        idle = peak_mebibytes()
        session = opened.session(ASKER)
        for name in ids:
            question = BY_ID[name]
            answers: list[Answer] = []

            def ask(sql: str = question.sql, given: list[Answer] = answers) -> None:
                given.append(session.query(sql, purpose=PURPOSE, epsilon=1))

            _, first = timed(ask)
            samples = []
            for _ in range(repeat):
                forget_answers(opened)
                ticks.clear()
                cpu, wall = timed(ask)[1]
                # An answer leaves on a tick (S42): waiting for it is no work.
                samples.append((cpu, wall - ticks.wall.get(TICK[0], 0.0)))
            series = Series.of(samples)
            found[name] = {
                "series": series.written(),
                "first": first,
                "peak": peak_mebibytes(),
                "idle": idle,
                "answers": [lines_of_frame(answer.table, question.keys) for answer in answers],
            }
    return found


def raw(directory: str, rows: int, ids: list[str], token: str, repeat: int) -> dict[str, Any]:
    """Ask the same of raw DuckDB, on plain Parquet, without privacy."""
    import duckdb

    from bench.exact import lines_of_rows

    data = BenchData(Path(directory), rows)
    connection = duckdb.connect(":memory:", config={"threads": 2})
    for member in MEMBERS:
        path = str(data.parquet(member, token)).replace("'", "''")
        connection.execute(f"CREATE VIEW {member} AS SELECT * FROM '{path}'")
    idle = peak_mebibytes()
    found = {}
    for name in ids:
        question = BY_ID[name]
        plain = repeated(lambda sql=question.raw: connection.sql(sql).fetchall(), repeat)  # type: ignore[misc]
        peak = peak_mebibytes()
        capped = question.capped
        found[name] = {
            "series": plain.written(),
            "peak": peak,
            "idle": idle,
            "answer": lines_of_rows(connection.sql(question.raw).fetchall(), question.keys),
            # Once is enough for what takes so long; text is not asked for it.
            "capped": None
            if capped is None or token != "uuid"  # noqa: S105
            else repeated(lambda sql=capped: connection.sql(sql).fetchall(), 1, warm_up=0).written(),  # type: ignore[misc]
        }
    return found


def exact(room: str, ids: list[str]) -> dict[str, Any]:
    """Answer each question without noise: with the default bounds, and with bounds that never bind."""
    from bench.exact import without_noise
    from bench.house import open_room

    with open_room(Path(room)) as opened:
        return {
            name: {
                "bounded": without_noise(opened, BY_ID[name], bounded=True),
                "unbounded": without_noise(opened, BY_ID[name], bounded=False),
            }
            for name in ids
        }


def profile(room: str, ids: list[str], repeat: int) -> dict[str, Any]:
    """Say where the time of each question goes: by stage, and by function (cProfile)."""
    from bench.house import ASKER, PURPOSE, forget_answers, open_room
    from bench.stages import QUESTION_DOORS, Stages, one_after_another

    one_after_another()
    stages = Stages()
    found = {}
    with open_room(Path(room)) as opened:
        session = opened.session(ASKER)

        def ask(name: str) -> None:
            session.query(BY_ID[name].sql, purpose=PURPOSE, epsilon=1)

        functions = {}
        for name in ids:
            ask(name)
            forget_answers(opened)
            profiler = cProfile.Profile(time.process_time)
            profiler.runcall(ask, name)
            functions[name] = _hottest(profiler)
        stages.install(QUESTION_DOORS)
        for name in ids:
            forget_answers(opened)
            ask(name)
            stages.clear()
            for _ in range(repeat):
                forget_answers(opened)
                stages.timed("question: rest", lambda chosen=name: ask(chosen))  # type: ignore[misc]
            found[name] = {**stages.written(repeat), "functions": functions[name]}
    return found


def _hottest(profiler: cProfile.Profile) -> list[tuple[str, float]]:
    rows = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    named = [
        (f"{Path(file).parent.name}/{Path(file).name}:{name}" if line else name, own)
        for (file, line, name), (_, _, own, _, _) in rows.items()
    ]
    return sorted(named, key=lambda pair: -pair[1])[:TOP]


def uploads(directory: str, rows: int, repeat: int) -> dict[str, Any]:
    """Hand one member's CSV in, again and again, each time in a new room; then once by stages."""
    import polars as pl
    import polars_hash as plh

    from bench import phones
    from bench.house import empty_room, table_of
    from bench.stages import UPLOAD_DOORS, Stages, one_after_another
    from cleanroom.client.normalise import normalise_column
    from cleanroom.client.tokens import hmac_key, token, token_column
    from cleanroom.identifiers import Epoch, IdentifierKind, token_kind
    from cleanroom.room import upload
    from key_management import SecretKey

    data = BenchData(Path(directory), rows)
    member = MEMBERS[0]
    source = data.csv(member)

    def hand_in(given: Stages | None) -> tuple[float, float]:
        with (
            tempfile.TemporaryDirectory(prefix=".upload-", dir=data.directory.parent) as place,
            empty_room(Path(place)) as room,
        ):

            def once() -> None:
                upload(room, table_of(member), source)

            return timed(once if given is None else lambda: given.timed("hand in: rest", once))[1]

    idle = peak_mebibytes()
    hand_in(None)
    series = Series.of([hand_in(None) for _ in range(repeat)])
    peak = peak_mebibytes()
    one_after_another()
    stages = Stages()
    stages.install(UPLOAD_DOORS)
    hand_in(stages)
    kind, epoch = IdentifierKind.EMAIL, Epoch("1")
    key = SecretKey.generate()
    addresses = pl.read_csv(source, columns=["courriel"])["courriel"]
    normal = normalise_column(kind, addresses)
    few = normal.head(min(rows, 100_000)).to_list()
    alone = normal.rename("value").to_frame()
    rates = {
        "token_column": (
            rows,
            repeated(lambda: token_column(key, kind=token_kind(kind), epoch=epoch, values=normal), repeat),
        ),
        "polars-hash alone": (
            rows,
            repeated(lambda: alone.select(plh.col("value").chash.hmac_sha256(key=hmac_key(key))), repeat),
        ),
        "standard library": (
            len(few),
            repeated(
                lambda: [token(key, kind=token_kind(kind), epoch=epoch, value=value) for value in few], min(repeat, 3)
            ),
        ),
    }
    return {
        "series": series.written(),
        "peak": peak,
        "idle": idle,
        "csv_bytes": source.stat().st_size,
        "stages": stages.written(1),
        "hashing": {name: (count, each.written()) for name, (count, each) in rates.items()},
        "normalising": {
            "e-mails": (rows, repeated(lambda: normalise_column(kind, addresses), repeat).written()),
            **phones.rates(rows, repeat),
        },
    }


def large_upload(directory: str, sources: list[str]) -> dict[str, Any]:
    """Hand many rows in once, in a new room: time, and the most memory of the whole process."""
    from bench.house import empty_room, table_of
    from cleanroom.room import upload

    with (
        tempfile.TemporaryDirectory(prefix=".upload-", dir=directory) as place,
        empty_room(Path(place)) as room,
    ):
        idle = peak_mebibytes()
        (_, taken), (cpu, wall) = timed(
            lambda: upload(room, table_of(MEMBERS[0]), [Path(source) for source in sources])
        )
        if taken is None:
            raise RuntimeError("the upload was not taken in")
        return {"rows": taken.rows, "cpu": cpu, "wall": wall, "peak": peak_mebibytes(), "idle": idle}


def admission(room: str, repeat: int) -> dict[str, Any]:
    """Admit an ordinary question and the longest ones that the limits allow; no data, no keys."""
    from bench.exact import validated
    from bench.house import open_room
    from bench.longest import texts
    from cleanroom.errors import Refused
    from cleanroom.room import registry

    with open_room(Path(room)) as opened:

        def decided(sql: str) -> bool:
            try:
                validated(opened, sql)
            except Refused:
                return False
            return True

        ordinary = BY_ID["overlap_by_region"].sql
        return {
            "rulebook": repeated(lambda: registry.rulebook(opened.connection), 20 * repeat).written(),
            "ordinary": repeated(lambda: validated(opened, ordinary), 20 * repeat).written(),
            "longest": {
                name: {
                    "series": repeated(lambda sql=sql: decided(sql), repeat).written(),  # type: ignore[misc]
                    "admitted": decided(sql),
                    "characters": len(sql),
                }
                for name, sql in texts().items()
            },
        }


def durable(directory: str, count: int, seconds: float) -> dict[str, Any]:
    """Ask a tiny table: what a question costs whatever its data; append to the log alone; charge from many threads."""
    from audit_log import EventType
    from bench.charging import charges
    from bench.house import ASKER, PURPOSE, empty_room, forget_answers, table_of
    from bench.stages import QUESTION_DOORS, TICK, Stages
    from cleanroom.room import upload
    from cleanroom.room.database import transaction

    place = Path(directory)
    sql = "SELECT COUNT(DISTINCT person) AS n FROM fleuve.visits"
    with empty_room(place) as room:
        tiny = place / "tiny.csv"
        header = "courriel,region,discipline,channel,purchased,tickets,amount\n"
        line = "personne.{}@courriel.example,region_01,theatre,web,2024-02-03,2,41.50\n"
        tiny.write_text(header + "".join(line.format(number) for number in range(50)), "utf-8")
        upload(room, table_of("fleuve"), tiny)
        session = room.session(ASKER)
        stages = Stages()
        stages.install(QUESTION_DOORS)
        _ask(session, sql, PURPOSE)
        stages.clear()
        for _ in range(count):
            forget_answers(room)
            stages.timed("question: rest", lambda: _ask(session, sql, PURPOSE))
        waited = stages.wall.pop(TICK[0], 0.0)
        asked = (sum(stages.cpu.values()), sum(stages.wall.values()))
        by_stage = stages.written(count)
        previewed = _many(lambda: session.preview(sql, purpose=PURPOSE, epsilon=1), count)

        def append() -> None:
            room.journal.append(
                room.connection,
                EventType.LOG_READ,
                at=room.now(),
                actor=room.session(ASKER).party,
                details={"request": "a" * 32},
            )

        def durably() -> None:
            with transaction(room.connection):
                append()

        each = _many(durably, LOG_ENTRIES)
        with transaction(room.connection):
            together = _many(append, LOG_ENTRIES)
        alone = {
            "count": count,
            "questions": asked,
            "previews": previewed,
            "log_each": each,
            "log_together": together,
            "log_entries": LOG_ENTRIES,
            "stages": by_stage,
            "waited": waited,
        }
    return {**alone, "charges": charges(place, seconds)}


def _ask(session: Session, sql: str, purpose: str) -> None:
    session.query(sql, purpose=purpose, epsilon=1)


def _many(call: Callable[[], object], count: int) -> tuple[float, float]:
    """Return CPU and wall seconds of `count` calls together, after one to warm up."""
    call()
    return timed(lambda: [call() for _ in range(count)] and None)[1]


def prepare(room: str, directory: str, rows: int) -> dict[str, Any]:
    """Make the room that questions are asked of."""
    from bench.house import filled_room

    filled_room(Path(room), BenchData(Path(directory), rows))
    return {}


def log(directory: str, seconds: float, entries: int) -> dict[str, Any]:
    """Measure the log by itself."""
    from bench.log import measured

    return measured(directory, seconds, entries)


KINDS: Final = {
    each.__name__: each
    for each in (
        *(prepare, questions, raw, exact, profile, uploads, large_upload, admission, durable, log),
        *(sales_prepare, sales_questions, sales_raw),
        *(scale_members, scale_ask, linear_prepare, linear_ask),
    )
}


def main() -> None:
    """Run one kind and print what it found."""
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(KINDS[kind](**arguments)))


if __name__ == "__main__":
    main()
