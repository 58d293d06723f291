"""Read, check and tokenise a member's sources into the rows that would travel; nothing is written."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cleanroom.ahead import ahead
from cleanroom.client.conform import Conforming, Treatment
from cleanroom.client.opt_out import OptOut
from cleanroom.client.order import RUN_ROWS, Runs, halves, tokens
from cleanroom.client.progress import Progress, Stage, unheard
from cleanroom.client.read_table import BATCH_ROWS, read_sources
from cleanroom.client.reading import Reading
from cleanroom.client.vocabulary import require_vocabularies
from cleanroom.client.written import DateForm, MomentForm, NumberForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cleanroom.catalog import TableCatalog
    from cleanroom.client.conform import Clipped
    from cleanroom.client.excel import SheetFacts
    from cleanroom.client.faults import FaultReport
    from cleanroom.client.linkage import LinkageKey
    from cleanroom.client.read_table import CsvFacts, Source, SourceTable
    from cleanroom.client.reading import Forms
    from cleanroom.client.vocabulary import VocabularyUse


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """How a source was read, for its owner to see that it was read as meant.

    Args:
        name: the file's; None for a table in memory.
        rows: all its rows, those left out included.
        csv: packing, encoding and delimiter; None for what is no CSV.
        sheet: the sheet of a workbook that was read, and the others; None for what is no workbook.
        dates: columns of text with dates, and the form they are written in.
        numbers: columns of text with numbers that could be written otherwise, and how they are.
    """

    name: str | None
    rows: int
    csv: CsvFacts | None
    sheet: SheetFacts | None
    dates: tuple[tuple[str, DateForm | MomentForm], ...]
    numbers: tuple[tuple[str, NumberForm], ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Which rows stayed at home and which values were changed, for the owner alone (S13).

    Args:
        without_person: rows whose identifier is not of its kind.
        opted_out: rows of people who said no.
        listed: how many tokens of the table's kind the list of those people has.
        bad: rows that break the declaration, left out because the owner chose so.
        clipped: numbers that became the bound they were beyond, because the owner chose so.
        vocabularies: how the owner's vocabularies were used.
        columns: the sources' columns that are not declared.
        returning: rows that travel, of people whose erasure the owner asked for before.
    """

    without_person: int
    opted_out: int
    listed: int
    bad: FaultReport
    clipped: tuple[Clipped, ...]
    vocabularies: tuple[VocabularyUse, ...]
    columns: tuple[str, ...]
    returning: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """How sources are read and treated.

    Args:
        opt_out: those who said no; their rows stay at home.
        erased: those whose erasure was asked for; their rows travel, and are counted.
        batch_rows: rows read at a time.
        run_rows: least rows of a sorted run.
    """

    reading: Reading = field(default_factory=Reading)
    treatment: Treatment = field(default_factory=Treatment)
    opt_out: OptOut = field(default_factory=OptOut.none)
    erased: OptOut = field(default_factory=OptOut.none)
    progress: Progress = unheard
    batch_rows: int = BATCH_ROWS
    run_rows: int = RUN_ROWS


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows that would travel, and what stays at home."""

    runs: Runs
    sources: tuple[SourceFacts, ...]
    left_out: LeftOut


def gather(
    source: Source | Sequence[Source], catalog: TableCatalog, linkage_key: LinkageKey, options: Options
) -> Gathered:
    """Read, check and tokenise all sources.

    Raises:
        RowsRefused: rows break the declaration.
        InvalidUpload: a file cannot be read or lacks a declared column.
        UsageError: an option speaks of what is not declared.
    """
    options.reading.require_declared(catalog)
    require_vocabularies(options.treatment.vocabularies, catalog)
    kind = catalog.unit.token_kind
    conforming = Conforming(catalog, options.reading, options.treatment)
    runs = Runs(catalog, run_rows=options.run_rows)
    refused, erased = halves(options.opt_out.tokens(kind)), halves(options.erased.tokens(kind))
    sources: list[SourceFacts] = []
    dropped: dict[str, None] = {}
    without_person = opted_out = returning = 0
    tables = read_sources(source, catalog, options.reading, batch_rows=options.batch_rows, progress=options.progress)
    with closing(tables):
        for table in tables:
            dropped |= dict.fromkeys(table.dropped)
            # While one batch is tokenised, the next is checked and the one after read.
            with closing(ahead(conforming.conform(table))) as batches:
                for conformed in batches:
                    rows = tokens(conformed.identifiers, kind=kind, linkage_key=linkage_key).hstack(conformed.columns)
                    kept = rows if refused.is_empty() else rows.join(refused, on=refused.columns, how="anti")
                    without_person += conformed.without_person
                    opted_out += rows.height - kept.height
                    if not erased.is_empty():
                        returning += kept.join(erased, on=erased.columns, how="semi").height
                    runs.add(kept)
                    options.progress(Stage.READING, *table.place())
            sources.append(_facts_of(table, conforming.forms, conforming.rows_read))
    left_out = LeftOut(
        without_person,
        opted_out,
        refused.height,
        conforming.report(),
        conforming.clipped(),
        conforming.vocabularies(),
        tuple(dropped),
        returning,
    )
    return Gathered(runs, tuple(sources), left_out)


def _facts_of(table: SourceTable, forms: Forms, rows: int) -> SourceFacts:
    found = forms.found.items()
    return SourceFacts(
        name=table.name,
        rows=rows + (0 if table.uneven is None else table.uneven.counts.total()),
        csv=table.csv,
        sheet=table.sheet,
        dates=tuple((column, form) for column, form in found if isinstance(form, DateForm | MomentForm)),
        numbers=tuple((column, form) for column, form in found if isinstance(form, NumberForm) and form.shown.en),
    )
