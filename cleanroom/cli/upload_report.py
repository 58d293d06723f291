"""Say to its owner what an upload holds, how its files were read, and what stayed at home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.cli import figures
from cleanroom.client import Packing
from cleanroom.errors import Bilingual
from cleanroom.partition.manifest import StorageType

if TYPE_CHECKING:
    from cleanroom.cli.console import Console
    from cleanroom.client import DryRun, LeftOut, PersonCounts, PreparedUpload, SourceFacts

_SHOWN: Final = 10
_LONGEST: Final = 40
_TYPES: Final = {
    StorageType.UUID: Bilingual("jeton, 16 octets", "token, 16 bytes"),
    StorageType.STRING: Bilingual("texte", "text"),
    StorageType.CODE8: Bilingual("code de sa déclaration, 1 octet", "code of its declaration, 1 byte"),
    StorageType.CODE16: Bilingual("code de sa déclaration, 2 octets", "code of its declaration, 2 bytes"),
    StorageType.CODE32: Bilingual("code de sa déclaration, 4 octets", "code of its declaration, 4 bytes"),
}


def say_prepared(console: Console, prepared: PreparedUpload | DryRun) -> None:
    """Say what was read, what would travel and what stayed."""
    rows = _number(console, prepared.rows)
    console.say(f"{prepared.table} : {rows} lignes", f"{prepared.table}: {rows} rows")
    for source in prepared.sources:
        _say_source(console, source)
    _say_left_out(console, prepared.left_out)
    _say_persons(console, prepared.persons)


def say_dry_run(console: Console, run: DryRun, *, trial_key: bool) -> None:
    """Say what would travel, to the byte."""
    say_prepared(console, run)
    size, groups = _number(console, run.size_bytes), _number(console, run.token_ranges)
    console.say(
        f"  essai : {size} octets chiffrés voyageraient, plages de jetons : {groups} ; rien n'est écrit ni déposé",
        f"  dry run: {size} encrypted bytes would travel, token ranges: {groups}; nothing is written or handed in",
    )
    if trial_key:
        console.say(
            "  la salle n'a pas encore de clé d'appariement : ces jetons sont d'une clé d'essai, déjà oubliée",
            "  the room has no linkage key yet: these tokens are of a trial key, forgotten already",
        )
    console.say("  colonnes qui voyageraient :", "  columns that would travel:")
    for column in run.columns:
        kind = _TYPES[column.storage]
        null = Bilingual(", peut manquer", ", may be missing") if column.nullable else Bilingual("", "")
        console.say(f"    {column.name} : {kind.fr}{null.fr}", f"    {column.name}: {kind.en}{null.en}")
    if not run.first:
        return
    console.say("  premières lignes, comme elles seraient gardées :", "  first rows, as they would be stored:")
    headers = ["u", *(value.column for value in run.first[0].values)]
    lines = [[row.token, *(_stored(value.stored, value.meaning) for value in row.values)] for row in run.first]
    console.table(headers, lines)


def _stored(stored: int | str | None, meaning: str | None) -> str:
    if stored is None or meaning is None:
        return "NULL"
    short = meaning if len(meaning) <= _LONGEST else meaning[:_LONGEST] + "…"
    return short if isinstance(stored, str) else f"{stored} = {short}"


def _say_source(console: Console, source: SourceFacts) -> None:
    """Say how a file was read, so that a wrong reading is seen; what has one form only is not said."""
    rows = _number(console, source.rows)
    fr, en = [f"{rows} lignes"], [f"{rows} rows"]
    if source.csv is not None:
        packing = {Packing.NONE: [], Packing.GZIP: ["gzip"], Packing.ZSTD: ["zstd"]}[source.csv.packing]
        encoding, delimiter = source.csv.encoding.shown, source.csv.delimiter.shown
        fr += [*packing, encoding.fr, delimiter.fr]
        en += [*packing, encoding.en, delimiter.en]
    name = source.name
    console.say(
        f"  {'table en mémoire' if name is None else name} : {', '.join(fr)}",
        f"  {'table in memory' if name is None else name}: {', '.join(en)}",
    )
    if source.sheet is not None:
        others = ", ".join(source.sheet.others)
        console.say(
            f"    feuille « {source.sheet.name} »" + (f" ; feuilles non lues : {others}" if others else ""),
            f"    sheet {source.sheet.name!r}" + (f"; sheets not read: {others}" if others else ""),
        )
    for column, date_form in source.dates:
        described = date_form.described
        console.say(f"    « {column} » : {described.fr}", f"    {column!r}: {described.en}")
    for column, number_form in source.numbers:
        shown = number_form.shown
        console.say(f"    « {column} » : {shown.fr}", f"    {column!r}: {shown.en}")


def _say_left_out(console: Console, left: LeftOut) -> None:
    dropped = ", ".join(left.columns)
    console.say(
        f"  colonnes laissées chez vous (non déclarées) : {dropped or 'aucune'}",
        f"  columns left at home (not declared): {dropped or 'none'}",
    )
    without = _number(console, left.without_person)
    console.say(
        f"  lignes laissées (sans identifiant utilisable) : {without}",
        f"  rows left out (no usable identifier): {without}",
    )
    if left.listed:
        rows, listed = _number(console, left.opted_out), _number(console, left.listed)
        console.say(
            f"  lignes laissées (personnes qui ont dit non, {listed} sur la liste) : {rows}",
            f"  rows left out (people who said no, {listed} on the list): {rows}",
        )
    if left.returning:
        rows = _number(console, left.returning)
        console.note(
            f"{rows} lignes sont de personnes que vous avez fait effacer : ce dépôt les recueille de nouveau ; "
            "`cleanroom opt-out --add` les garderait chez vous",
            f"{rows} rows are of people whose erasure you asked for: this upload collects them anew; "
            "`cleanroom opt-out --add` would keep them at home",
        )
    if left.bad.rows:
        rows = _number(console, left.bad.rows)
        fr, en = left.bad.lines()
        console.say(
            f"  lignes laissées (non conformes à la déclaration) : {rows}",
            f"  rows left out (breaking the declaration): {rows}",
        )
        for line in zip(fr, en, strict=True):
            console.say(f"  {line[0]}", f"  {line[1]}")
    for clipped in left.clipped:
        lower, upper = _number(console, clipped.to_lower), _number(console, clipped.to_upper)
        console.say(
            f"  « {clipped.column} » : valeurs ramenées à la borne inférieure : {lower}, à la supérieure : {upper}",
            f"  {clipped.column!r}: values brought to the lower bound: {lower}, to the upper: {upper}",
        )
    for use in left.vocabularies:
        replaced, unused = _number(console, use.replaced), ", ".join(use.unused[:_SHOWN])
        more = "…" if len(use.unused) > _SHOWN else ""
        console.say(
            f"  « {use.column} » : valeurs remplacées : {replaced} ; mots jamais vus : {unused or 'aucun'}{more}",
            f"  {use.column!r}: values replaced: {replaced}; words never seen: {unused or 'none'}{more}",
        )


def _say_persons(console: Console, persons: PersonCounts) -> None:
    count = _number(console, persons.persons)
    console.say(f"  personnes : {count}", f"  persons: {count}")
    if persons.over_limit:
        over, ignored = _number(console, persons.over_limit), _number(console, persons.rows_ignored)
        console.say(
            f"  {over} d'entre elles ont plus de lignes que max_rows_per_person : {ignored} ne compteront jamais",
            f"  {over} of them have more rows than max_rows_per_person: {ignored} will never count",
        )


def _number(console: Console, value: int) -> str:
    return figures.number(value, 0, console.language)
