"""Propose a table file from a sample, for its owner to review (S25, DESIGN §9).

What it says of the data stands in lines that begin with `#~`. No declaration is taken while it holds any, and whoever
has reviewed it strikes them out: what is signed travels, and what was counted must not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.catalog.notes import NOTE
from cleanroom.client.near import fold_text, is_word_for_nothing
from cleanroom.client.proposal import Amounts, Categories, DayRange, Left, Proposal, find_unit, outward_count, propose
from cleanroom.client.survey import survey
from cleanroom.errors import Bilingual, Language, UsageError
from cleanroom.identifiers import IdentifierKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from cleanroom.client.proposal import Unit
    from cleanroom.client.read_table import Source
    from cleanroom.client.reading import Reading
    from cleanroom.client.survey import Survey
    from cleanroom.identifiers import TableName

_RARE: Final = 20
_SHOWN: Final = 20
_MOST_ROWS: Final = 65_535
_PLAIN: Final = re.compile(r"[a-z][a-z0-9_-]*", re.ASCII)
_YAML_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_CURRENCY: Final = {"€": "EUR", "EUR": "EUR", "£": "GBP", "GBP": "GBP", "US$": "USD", "USD": "USD", "$US": "USD"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposed table file.

    Args:
        text: YAML with notes.
        rows: how many rows the sample has.
    """

    text: str
    rows: int


def draft(source: Source, reading: Reading, *, table: TableName, purposes: Sequence[str], language: Language) -> Draft:
    """Propose a table file; nothing leaves the machine.

    Args:
        source: a path to a CSV, Excel or Parquet file, or a table in memory.
        purposes: the room's, of which the rules name some.
        language: of the notes.

    Raises:
        InvalidUpload: the sample cannot be read, or holds no row.
        UsageError: no column of it names a person, or none but that one is fit to be declared.
    """
    seen = survey(source, reading)
    unit = find_unit(seen)
    if unit is None:
        raise UsageError(
            Bilingual(
                "aucune colonne n'a des courriels, des téléphones ou des numéros de client (nommée client, membre, "
                "abonné…) : sans elle, pas de table",
                "no column has e-mail addresses, phones or customer numbers (called customer, member, subscriber…): "
                "without one, there is no table",
            ),
            code="no_unit",
        )
    proposals = propose(seen, unit)
    if all(isinstance(each, Left) for each in proposals):
        raise UsageError(
            Bilingual(
                "aucune colonne, hors l'identifiant, ne se prête à être déclarée",
                "no column but the identifier is fit to be declared",
            ),
            code="no_columns",
        )
    person_rows = seen.person_rows(unit.place, unit.kind)
    writer = _Writer(language)
    _write_head(writer, seen, table)
    _write_unit(writer, unit, proposals, person_rows, table)
    writer.line("columns:")
    for proposal in proposals:
        _write_column(writer, proposal)
    _write_limits(writer, person_rows)
    _write_rules(writer, proposals, purposes)
    return Draft("\n".join(writer.lines) + "\n", seen.rows)


class _Writer:
    def __init__(self, language: Language) -> None:
        self._language = language
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def words(self, fr: str, en: str) -> str:
        return Bilingual(fr, en).into(self._language)

    def note(self, fr: str, en: str, indent: int = 0) -> None:
        text = self.words(fr, en)
        self.lines.append(f"{' ' * indent}{NOTE} {''.join(each if each.isprintable() else '·' for each in text)}")


def _write_head(writer: _Writer, seen: Survey, table: TableName) -> None:
    name = "DataFrame" if seen.name is None else seen.name
    writer.note(
        f"BROUILLON de {name}, {seen.rows} lignes. Pour vos yeux seulement.",
        f"DRAFT of {name}, {seen.rows} rows. For your eyes only.",
    )
    writer.note(
        "ATTENTION : les domaines, plages et bornes ci-dessous sont tirés de vos données. Signés, ils sont publics.",
        "WARNING: the domains, ranges and bounds below are drawn from your data. Once signed, they are public.",
    )
    writer.note(
        "Relisez chaque ligne ; remplacez ce qui n'est pas connu de tous par des valeurs choisies sans les données.",
        "Review every line; replace what is not common knowledge by values chosen without the data.",
    )
    writer.note(
        f"Les lignes « {NOTE} » parlent de vos données : elles sont refusées à la signature. Quand tout est relu :",
        f"The lines {NOTE!r} speak of your data: they are refused when you sign. When all is reviewed:",
    )
    writer.note(
        "cleanroom declare ROOM FILE.yaml --reviewed   (les enlève)",
        "cleanroom declare ROOM FILE.yaml --reviewed   (strikes them out)",
        2,
    )
    writer.line(f"table: {table}")


def _write_unit(
    writer: _Writer, unit: Unit, proposals: Sequence[Proposal], person_rows: pl.Series, table: TableName
) -> None:
    others = [each.column.header for each in proposals if isinstance(each, Left) and each.why.value in {"contact"}]
    persons = len(person_rows)
    writer.note(
        f"« {unit.column.header} » nomme la personne : {persons} personnes, {unit.column.missing} lignes sans "
        "identifiant (à corriger ou à laisser : --skip-bad-rows).",
        f"{unit.column.header!r} names the person: {persons} persons, {unit.column.missing} rows without identifier "
        "(mend them, or leave them out: --skip-bad-rows).",
    )
    if others:
        writer.note(
            f"Aussi possibles : {', '.join(others)}. Deux tables ne se rencontrent que par un même genre.",
            f"Also possible: {', '.join(others)}. Two tables meet by the same kind only.",
        )
    if unit.kind is IdentifierKind.OPAQUE:
        writer.note(
            "Vos numéros de client ne rencontrent ceux d'autrui que sous un même « namespace ».",
            "Your customer numbers meet those of others under the same 'namespace' only.",
        )
    space = f", namespace: {table.owner}" if unit.kind is IdentifierKind.OPAQUE else ""
    writer.line(f"unit: {{name: person, from: {_scalar(unit.column.header)}, kind: {unit.kind.value}{space}}}")


def _write_column(writer: _Writer, proposal: Proposal) -> None:
    column = proposal.column
    if isinstance(proposal, Left):
        why = proposal.why.reason
        writer.note(
            f"laissée chez vous : « {column.header} » : {why.fr}", f"left at home: {column.header!r}: {why.en}", 2
        )
        return
    nullable = ", nullable: true" if column.missing else ""
    if column.missing:
        writer.note(
            f"{proposal.name} : {column.missing} lignes sur {column.rows} n'y ont rien",
            f"{proposal.name}: {column.missing} of {column.rows} rows have nothing in it",
            2,
        )
    match proposal:
        case Categories():
            _note_values(writer, proposal)
            domain = ", ".join(_scalar(value) for value, _ in sorted(proposal.values))
            writer.line(f"  {proposal.name}: {{type: category, domain: [{domain}]{nullable}}}")
        case DayRange():
            days = column.days
            if days is not None:
                writer.note(
                    f"{proposal.name} : du {days.first} au {days.last} ; prévoyez les dépôts à venir",
                    f"{proposal.name}: from {days.first} to {days.last}; think of uploads to come",
                    2,
                )
                _note_wrong(writer, proposal.name, days.wrong, "dates", "dates")
            writer.line(f"  {proposal.name}: {{type: date, range: [{proposal.first}, {proposal.last}]{nullable}}}")
        case Amounts():
            _write_amounts(writer, proposal, nullable)
        case _:
            assert_never(proposal)


def _note_values(writer: _Writer, proposal: Categories) -> None:
    name = proposal.name
    shown = ", ".join(f"{value} {rows}" for value, rows in proposal.values[:_SHOWN])
    more = " …" if len(proposal.values) > _SHOWN else ""
    writer.note(f"{name}, lignes par valeur : {shown}{more}", f"{name}, rows by value: {shown}{more}", 2)
    rare = [value for value, rows in proposal.values if rows < _RARE]
    if rare:
        few = ", ".join(rare[:_SHOWN])
        writer.note(
            f"{name} : moins de {_RARE} lignes : {few}. Connu de tous ? Sinon, ôtez-les, ou traduisez-les par --map",
            f"{name}: fewer than {_RARE} rows: {few}. Common knowledge? Else remove or translate them by --map",
            2,
        )
    alike: dict[str, list[str]] = {}
    for value, _ in proposal.values:
        alike.setdefault(fold_text(value), []).append(value)
    for same in alike.values():
        if len(same) > 1:
            both = ", ".join(same)
            writer.note(
                f"{name} : la même chose ? {both}. Gardez-en une, traduisez les autres par --map",
                f"{name}: the same? {both}. Keep one, translate the others by --map",
                2,
            )
    for value, _ in proposal.values:
        if is_word_for_nothing(value):
            writer.note(
                f"{name} : si « {value} » veut dire « rien », ôtez-la, videz ces cases et mettez nullable: true",
                f"{name}: if {value!r} means nothing, remove it, empty those cells and say nullable: true",
                2,
            )


def _write_amounts(writer: _Writer, proposal: Amounts, nullable: str) -> None:
    column, name = proposal.column, proposal.name
    numbers = column.numbers
    currency = None
    if numbers is not None:
        writer.note(
            f"{name} : de {numbers.lower:f} à {numbers.upper:f}. Les bornes coupent : plus serrées, moins de bruit "
            "dans les sommes, mais les grands achats comptent moins",
            f"{name}: {numbers.lower:f} to {numbers.upper:f}. Bounds cut: the tighter, the less noise in sums, but "
            "large purchases count for less",
            2,
        )
        _note_wrong(writer, name, numbers.wrong, "nombres", "numbers")
        currency = numbers.currency
    bounds = f"bounds: [{proposal.lower:f}, {proposal.upper:f}]"
    if proposal.resolution == 1:
        writer.line(f"  {name}: {{type: integer, {bounds}{nullable}}}")
        return
    unit = "" if currency is None else f", unit: {_CURRENCY.get(currency, 'CAD')}"
    writer.line(f"  {name}: {{type: decimal, resolution: {proposal.resolution:f}, {bounds}{unit}{nullable}}}")


def _note_wrong(writer: _Writer, name: str, wrong: int, fr: str, en: str) -> None:
    if wrong:
        writer.note(
            f"{name} : {wrong} valeurs ne sont pas des {fr} : elles seront refusées (corrigez, ou --skip-bad-rows)",
            f"{name}: {wrong} values are no {en}: they will be refused (mend them, or --skip-bad-rows)",
            2,
        )


def _write_limits(writer: _Writer, person_rows: pl.Series) -> None:
    most, usual = _at(person_rows, 1.0), _at(person_rows, 0.99)
    limit = min(_MOST_ROWS, outward_count(most if most <= 10 * usual else 5 * usual))
    writer.note(
        f"99 % des personnes ont {usual} lignes ou moins, la plus active {most}. Au-delà de la limite, ses lignes ne "
        "comptent pas ; une personne aux milliers de lignes est sans doute votre guichet",
        f"99 % of persons have {usual} rows or fewer, the most active {most}. Beyond the limit, its rows do not count; "
        "a person of thousands of rows is probably your box office",
    )
    writer.line(f"limits: {{max_rows_per_person: {limit}}}")
    writer.note(
        "combien de lignes d'une personne comptent par case, et dans combien de cases ; qui demande peut en changer",
        "how many rows of a person count in a cell, and in how many cells; whoever asks may choose otherwise",
    )
    rows = min(outward_count(_at(person_rows, 0.9)), limit, 20)
    writer.line(f"defaults: {{max_rows_contributed: {rows}, max_groups_contributed: 4}}")


def _at(person_rows: pl.Series, share: float) -> int:
    found = person_rows.quantile(share, "nearest")
    return 1 if found is None else int(found)


def _write_rules(writer: _Writer, proposals: Sequence[Proposal], purposes: Sequence[str]) -> None:
    dimensions: list[str] = []
    numbers = False
    for proposal in proposals:
        match proposal:
            case Categories():
                dimensions.append(proposal.name)
            case DayRange():
                dimensions.append(f'"{proposal.name}:month"')
            case Amounts():
                numbers = True
            case Left():
                pass
            case _:
                assert_never(proposal)
    writer.note(
        "le budget de toutes les réponses ensemble, pour toujours : plus petit, mieux protégé, moins de questions",
        "the budget of all answers together, for life: the smaller, the better protected, the fewer questions",
    )
    writer.line("budget: {epsilon: 20, delta: 1e-7, window: never}")
    writer.note(
        "qui peut demander quoi ; ce qui n'est pas écrit est refusé", "who may ask what; what is not written is refused"
    )
    overlap = "audience_overlap" if "audience_overlap" in purposes else purposes[0]
    sector = "sector_statistics" if "sector_statistics" in purposes else purposes[-1]
    together = ", ".join(dimensions)
    writer.line("rules:")
    writer.line(f"  - name: {writer.words('publics communs entre membres', 'overlaps between members')}")
    for text in (
        "parties: {role: member}",
        f"purposes: [{overlap}]",
        "analyses: [overlap]",
        "functions: [count_persons, count_rows]",
        f"dimensions: [{together}]",
        "threshold: 20",
        "default_epsilon: 0.2",
        "max_epsilon_per_question: 0.5",
        "per_party: {epsilon: 5, window: year}",
    ):
        writer.line(f"    {text}")
    functions = "count_persons, count_rows" + (", sum, avg" if numbers else "")
    writer.line(f"  - name: {writer.words('statistiques du secteur', 'sector statistics')}")
    for text in (
        "parties: {role: observatoire}",
        f"purposes: [{sector}]",
        "analyses: [sector]",
        f"functions: [{functions}]",
        f"dimensions: [{together}]",
        "min_parties: 3",
        "threshold: 20",
        "default_epsilon: 1",
    ):
        writer.line(f"    {text}")


def _scalar(text: str) -> str:
    """Return text as YAML reads it back: bare where it can be nothing else, else quoted."""
    if _PLAIN.fullmatch(text) is not None and text not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
