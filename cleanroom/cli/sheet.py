"""Write an answer's publication sheet: question, method, bounds, numbers, cost and receipt, to attach to a publication.

The sheet is a list of blocks, written as Markdown or as HTML. It holds nothing that the answer does not; the same
answer gives the same text. Whatever a party wrote (the question, labels, names) is escaped.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, assert_never

from cleanroom.cli import figures
from cleanroom.cli.answers import (
    MARGIN,
    STATE,
    account_name,
    key_columns,
    months_of,
    shown_key,
    shown_value,
    value_columns,
)
from cleanroom.cli.text import visible
from cleanroom.errors import Bilingual, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cleanroom.cli.console import Console
    from cleanroom.cli.formats import Table
    from cleanroom.room import Answer

FORMS: Final = (".md", ".html")
_MARKS: Final = re.compile(r"([\\`*_{}\[\]|~!])")


@dataclass(frozen=True, slots=True)
class Heading:
    """A title: level 1 for the sheet, 2 for its parts."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be shown as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; columns in `right` are aligned right."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int]


Block = Heading | Paragraph | Bullets | Code | Grid


def require_sheet(path: Path) -> None:
    """Refuse a file that no sheet can be written as, before the question is charged."""
    if path.suffix.lower() not in FORMS:
        raise UsageError(Bilingual("--sheet : un fichier .md ou .html", "--sheet: a .md or .html file"), code="usage")


def sheet(console: Console, answer: Answer, table: Table, sql: str, parameters: object, form: str) -> bytes:
    """Return the sheet of an answer.

    Args:
        parameters: what was given for the question's placeholders; None for nothing.
        form: one of `FORMS`.
    """
    blocks = tuple(_blocks(console, answer, table, sql, parameters))
    written = as_html(blocks, console.language.value) if form == ".html" else as_markdown(blocks)
    return written.encode("utf-8")


def _blocks(console: Console, answer: Answer, table: Table, sql: str, parameters: object) -> list[Block]:
    words, source = console.words, answer.provenance
    moment = datetime.fromtimestamp(source.charged_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    asked = tuple(visible(line) for line in sql.strip().split("\n"))
    blocks: list[Block] = [
        Heading(1, words("Fiche de publication", "Publication sheet")),
        Paragraph(
            words(
                f"Réponse bruitée d'une salle de données partagée, demandée par {source.party} pour "
                f"« {source.purpose} », le {moment}.",
                f"Noised answer of a data clean room, asked by {source.party} for “{source.purpose}”, on {moment}.",
            )
        ),
        Heading(2, words("Question", "Question")),
        Code(asked),
    ]
    if parameters is not None:
        blocks.append(Code((visible(json.dumps(parameters, ensure_ascii=False, sort_keys=True, default=str)),)))
    blocks += [Heading(2, words("Réponse", "Answer")), _numbers(console, table)]
    blocks.append(
        Paragraph(
            words(
                "± est la marge d'erreur, 19 fois sur 20, du seul bruit ajouté pour protéger les personnes. Ni les "
                "erreurs des données, ni leur couverture, ni l'effet des bornes n'y sont.",
                "± is the margin of error, 19 times out of 20, of the noise added to protect people alone. Neither "
                "errors in the data, nor their coverage, nor the effect of bounds are in it.",
            )
        )
    )
    if answer.suppressed:
        blocks.append(
            Paragraph(
                words(
                    f"{answer.suppressed} cases sont retenues : leur nombre de personnes, bruit compris, est sous le "
                    "seuil des propriétaires. Elles ne sont pas nulles.",
                    f"{answer.suppressed} cells are withheld: their number of persons, noise included, is below the "
                    "owners' threshold. They are not zero.",
                )
            )
        )
    blocks += _method(console, answer)
    blocks += _cost(console, answer)
    blocks += _origin(console, answer)
    return blocks


def _numbers(console: Console, table: Table) -> Grid:
    values, keys = value_columns(table), key_columns(table)
    shown = [name for name in table.columns if name in values or name in keys]
    months = months_of(table, keys)
    rows = tuple(
        tuple(
            shown_value(console, row[table.at(name)], row[table.at(name + MARGIN)], row[table.at(name + STATE)])
            if name in values
            else shown_key(console, row[table.at(name)], month=name in months)
            for name in shown
        )
        for row in table.rows
    )
    return Grid(tuple(shown), rows, frozenset(at for at, name in enumerate(shown) if name in values))


def _method(console: Console, answer: Answer) -> list[Block]:
    words = console.words
    releases = answer.provenance.releases
    drawn = {note for release in releases for note in release.mechanisms}
    blocks: list[Block] = [
        Heading(2, words("Méthode", "Method")),
        Paragraph(
            words(
                "Confidentialité différentielle au niveau de la personne : toutes les lignes d'une personne, "
                "dans toutes les tables, sont protégées ensemble. La part de chacun est bornée avant l'addition, puis "
                "du bruit est ajouté.",
                "Differential privacy at the level of the person: all rows of a person, in all tables, are "
                "protected together. Each person's part is bounded before it is added up, then noise is added.",
            )
        ),
        Bullets(tuple(note.into(console.language) for release in releases for note in release.mechanisms)),
        Heading(2, words("Bornes, et ce qu'elles peuvent couper", "Bounds, and what they may cut off")),
        Paragraph(
            words(
                "Les bornes sont publiques et fixées sans regarder les données, sauf celle dite « auto », choisie par "
                "un tirage bruité et payé. Ce qu'elles coupent est un biais que les marges ne contiennent pas, vers le "
                "bas pour les comptes et les sommes de valeurs positives.",
                "Bounds are public and set without looking at data, but for one said to be auto, chosen by a noised "
                "draw that is paid. What they cut off is a bias that the margins do not hold, downward for counts and "
                "for sums of positive values.",
            )
        ),
        Bullets(
            tuple(
                dict.fromkeys(
                    note.into(console.language)
                    for note in (
                        *(note for note in answer.notes if note not in drawn),
                        *(note for release in releases for note in release.bounds),
                    )
                )
            )
        ),
    ]
    return blocks


def _cost(console: Console, answer: Answer) -> list[Block]:
    words = console.words
    rows = tuple(
        (
            account_name(console, cost.account),
            figures.epsilon(cost.epsilon, console.language),
            cost.rho,
            figures.epsilon(cost.epsilon_after, console.language),
            cost.epsilon_granted,
        )
        for cost in answer.cost
    )
    headers = (
        words("compte", "account"),
        words("ε de cette question", "ε of this question"),
        words("perte : ρ (zCDP), ou ε pur", "loss: ρ (zCDP), or pure ε"),
        words("ε dépensé en tout", "ε spent in all"),
        words("ε accordé", "ε granted"),
    )
    return [
        Heading(2, words("Coût", "Cost")),
        Grid(headers, rows, frozenset({1, 2, 3, 4})),
    ]


def _origin(console: Console, answer: Answer) -> list[Block]:
    words, source = console.words, answer.provenance
    versions = (
        words(f"{table} : dépôts {_listed(numbers)}", f"{table}: uploads {_listed(numbers)}")
        for table, numbers in source.versions
    )
    rules = (words(f"{table} : règle « {rule} »", f"{table}: rule “{rule}”") for table, rule in source.rules)
    software = ", ".join(f"{name} {number}" for name, number in source.software)
    return [
        Heading(2, words("Données et règles", "Data and rules")),
        Bullets((*versions, *(f"{name}: {digest}" for name, digest in source.references), *rules)),
        Heading(2, words("Vérifier", "To verify")),
        Bullets(
            (
                words(f"plan : {source.plan}", f"plan: {source.plan}"),
                words(f"règles : {source.policies}", f"rules: {source.policies}"),
                words(f"logiciels : {software}", f"software: {software}"),
                words(
                    f"reçu : entrée {answer.receipt.index} du journal de la salle ; sa preuve, que quiconque a la clé "
                    "publique du journal peut vérifier :",
                    f"receipt: entry {answer.receipt.index} of the room's log; its proof, which anybody with the log's "
                    "public key can verify:",
                ),
            )
        ),
        Code(tuple(visible(line) for line in answer.receipt.proof.decode("utf-8").rstrip("\n").split("\n"))),
    ]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "–"


def as_markdown(blocks: Sequence[Block]) -> str:
    """Write blocks as Markdown, with tables as GitHub has them."""
    return "\n".join(line for block in blocks for line in (*_markdown(block), ""))


def _markdown(block: Block) -> list[str]:
    match block:
        case Heading(level=level, text=text):
            return [f"{'#' * level} {_marked(text)}"]
        case Paragraph(text=text):
            return [_marked(text)]
        case Bullets(items=items):
            return [f"- {_marked(item)}" for item in items]
        case Code(lines=lines):
            return [f"    {line}" for line in lines]
        case Grid(headers=headers, rows=rows, right=right):
            rule = ["---:" if at in right else "---" for at in range(len(headers))]
            body = [[_marked(cell) for cell in row] for row in (headers, *rows)]
            return [f"| {' | '.join(row)} |" for row in (body[0], rule, *body[1:])]
    assert_never(block)


def _marked(text: str) -> str:
    return _MARKS.sub(r"\\\1", html.escape(visible(text), quote=False))


_PAGE: Final = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em; color: #1a1a1a }}
table {{ border-collapse: collapse }} th, td {{ border-bottom: 1px solid #ccc; padding: .25em .75em; text-align: left }}
.right {{ text-align: right; font-variant-numeric: tabular-nums }}
pre {{ background: #f4f4f4; padding: .75em; overflow-x: auto; font-size: .85em }} li {{ overflow-wrap: anywhere }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def as_html(blocks: Sequence[Block], language: str) -> str:
    """Write blocks as one page that loads nothing."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(_html(block) for block in blocks)
    return _PAGE.format(language=language, title=_escaped(title), body=body)


def _html(block: Block) -> str:
    match block:
        case Heading(level=level, text=text):
            return f"<h{level}>{_escaped(text)}</h{level}>"
        case Paragraph(text=text):
            return f"<p>{_escaped(text)}</p>"
        case Bullets(items=items):
            return "\n".join(["<ul>", *(f"<li>{_escaped(item)}</li>" for item in items), "</ul>"])
        case Code(lines=lines):
            return f"<pre>{_escaped(chr(10).join(lines))}</pre>"
        case Grid(headers=headers, rows=rows, right=right):
            return "\n".join(
                ["<table>", _row("th", headers, right), *(_row("td", row, right) for row in rows), "</table>"]
            )
    assert_never(block)


def _row(tag: str, cells: Sequence[str], right: frozenset[int]) -> str:
    shown = (
        f'<{tag} class="right">{_escaped(cell)}</{tag}>' if at in right else f"<{tag}>{_escaped(cell)}</{tag}>"
        for at, cell in enumerate(cells)
    )
    return f"<tr>{''.join(shown)}</tr>"


def _escaped(text: str) -> str:
    return html.escape("\n".join(visible(line) for line in text.split("\n")))
