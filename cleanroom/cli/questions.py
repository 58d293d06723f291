"""`query`, `preview`, `check`: from the command line to a session of the room, and its answer back."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

from cleanroom.cli import receipts
from cleanroom.cli.answers import answer_lines, value_columns
from cleanroom.cli.destinations import result, whole_file
from cleanroom.cli.formats import Table, as_csv, as_json, as_parquet
from cleanroom.cli.plot import plot, require_plots
from cleanroom.cli.previews import preview_lines
from cleanroom.cli.sheet import require_sheet, sheet
from cleanroom.cli.text import visible
from cleanroom.cli.values import read_questions
from cleanroom.errors import Bilingual, ExitCode, Refused, UsageError
from cleanroom.query.refusals import described as as_json_has_it
from cleanroom.room import Room

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.errors import Language
    from cleanroom.room import AccountCost, Answer


def query(console: Console, arguments: argparse.Namespace) -> int:
    """Ask a question."""
    sql = _sql(arguments.sql)
    plotted: Path | None = arguments.plot
    described: Path | None = arguments.sheet
    _require_files(arguments)
    # Where results go is opened before the question is charged.
    with ExitStack() as opened:
        room = opened.enter_context(Room.open(arguments.room))
        write = opened.enter_context(result(console, arguments))
        draw, describe = (
            None if path is None else opened.enter_context(whole_file(path)) for path in (plotted, described)
        )
        session = room.session(arguments.party)
        try:
            answer = session.query(
                sql,
                purpose=arguments.purpose,
                epsilon=arguments.epsilon,
                margin=arguments.margin,
                parameters=arguments.params,
                max_rows_contributed=arguments.max_rows,
                max_groups_contributed=arguments.max_groups,
                weights=arguments.weights,
                max_sum=arguments.max_sum,
                consistent=arguments.consistent,
            )
        except Refused as refused:
            console.refused(refused, sql)
            return refused.exit_code
        kept = receipts.keep(console, room.home, room.room_id, answer.receipt)
        table = Table.of(answer.table)
        facts: dict[str, object] = {
            "suppressed": answer.suppressed,
            "epsilon": answer.epsilon,
            "noise_scale": dict(answer.noise_scale),
            "rank_margins": dict(answer.rank_margins),
            "notes": [note.into(console.language) for note in answer.notes],
            "cost": _costs(answer.cost),
            "sources": [source.value for source in answer.sources],
            "receipt": {"index": answer.receipt.index, "proof": answer.receipt.proof.decode("utf-8")},
        }
        lines = [] if arguments.format != "table" else answer_lines(console, answer, table)
        place = "" if kept is None else f", {kept}"
        where = (
            f"Reçu : entrée {answer.receipt.index} du journal{place}",
            f"Receipt: log entry {answer.receipt.index}{place}",
        )
        if lines:
            lines += ["", console.words(*where)]
        else:
            console.note(*where)
        # The numbers first: they are paid, and what fails after must not lose them.
        write(_rendered(arguments.format, table, facts, lines))
        if describe is not None and described is not None:
            describe(sheet(console, answer, table, sql, arguments.params, described.suffix.lower()))
        if draw is not None and plotted is not None and not value_columns(table):
            console.note("aucun nombre à dessiner : pas de dessin", "no number to draw: no drawing")
        elif draw is not None and plotted is not None:
            draw(plot(console, table, plotted.suffix.lower(), caption=_receipt_line(console, answer)))
    return ExitCode.DONE


def _receipt_line(console: Console, answer: Answer) -> str:
    index, plan = answer.receipt.index, answer.provenance.plan
    return console.words(
        f"Reçu : entrée {index} du journal. Plan : {plan}", f"Receipt: log entry {index}. Plan: {plan}"
    )


def _require_files(arguments: argparse.Namespace) -> None:
    """Refuse files that could not be made of an answer, before it is charged."""
    if arguments.plot is not None:
        require_plots(arguments.plot)
    if arguments.sheet is not None:
        require_sheet(arguments.sheet)
    named = [path.absolute() for path in (arguments.output, arguments.plot, arguments.sheet) if path is not None]
    if len(set(named)) < len(named):
        raise UsageError(Bilingual("deux résultats dans un même fichier", "two results in one file"), code="usage")


def preview(console: Console, arguments: argparse.Namespace) -> int:
    """Say what a question would cost."""
    sql = _sql(arguments.sql)
    with Room.open(arguments.room) as room, result(console, arguments) as write:
        session = room.session(arguments.party)
        try:
            preview = session.preview(
                sql,
                purpose=arguments.purpose,
                epsilon=arguments.epsilon,
                margin=arguments.margin,
                parameters=arguments.params,
                max_rows_contributed=arguments.max_rows,
                max_groups_contributed=arguments.max_groups,
                weights=arguments.weights,
                max_sum=arguments.max_sum,
                consistent=arguments.consistent,
            )
        except Refused as refused:
            console.refused(refused, sql)
            return refused.exit_code
        table = Table(("value", "margin95"), preview.margins)
        facts: dict[str, object] = {
            "cells": preview.cells,
            "max_rows_contributed": preview.max_rows_contributed,
            "max_groups_contributed": preview.max_groups_contributed,
            "epsilon": preview.epsilon,
            "notes": [note.into(console.language) for note in preview.notes],
            "cost": _costs(preview.cost),
            "sources": [source.value for source in preview.sources],
            "repetitions": preview.repetitions,
            "possible": [asdict(each) for each in preview.possible],
            "least_margins": dict(preview.least_margins),
            "rank_margins": dict(preview.rank_margins),
            "split": dict(preview.split),
            "split_threshold": preview.split_threshold,
            "split_keys": preview.split_keys,
            "lacking": [_spoken(as_json_has_it(each.as_typed()), console.language) for each in preview.lacking],
        }
        lines = preview_lines(console, preview) if arguments.format == "table" else []
        write(_rendered(arguments.format, table, facts, lines))
    return ExitCode.DONE


def check(console: Console, arguments: argparse.Namespace) -> int:
    """Decide the questions on standard input."""
    questions = read_questions(sys.stdin.buffer.read())
    with Room.open(arguments.room) as room:
        decisions = room.session(arguments.party).check(questions, purpose=arguments.purpose)
    for decision in decisions:
        console.lines([as_json(_decision(decision, console.language))])
    unwanted = {"refused": False, "admitted": True}.get(arguments.fail_on)
    return ExitCode.REFUSED if any(each["admitted"] is unwanted for each in decisions) else ExitCode.DONE


def _sql(written: str) -> str:
    if written != "-":
        return written
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            Bilingual("la question n'est pas en UTF-8", "the question is not UTF-8"), code="unreadable_question"
        ) from None


def _rendered(form: str, table: Table, facts: Mapping[str, object], lines: Sequence[str]) -> bytes:
    match form:
        case "csv":
            return as_csv(table)
        case "parquet":
            return as_parquet(table, facts)
        case "json":
            document = {"columns": table.columns, "rows": table.rows, **facts}
            return f"{as_json(document)}\n".encode()
    return "".join(f"{visible(line)}\n" for line in lines).encode()


def _costs(costs: Sequence[AccountCost]) -> list[dict[str, object]]:
    return [asdict(cost) for cost in costs]


def _decision(decision: Mapping[str, object], language: Language) -> dict[str, object]:
    """Return a decision with its words in one language."""
    refusals = decision.get("refusals")
    return {
        "id": decision.get("id"),
        "admitted": decision.get("admitted"),
        "refusals": [_spoken(each, language) for each in refusals] if isinstance(refusals, list) else [],
        "releases": decision.get("releases", []),
    }


def _spoken(refusal: Mapping[str, object], language: Language) -> dict[str, object]:
    return {
        name: value[language.value] if name in {"message", "hint"} and isinstance(value, dict) else value
        for name, value in refusal.items()
    }
