"""Translate a member's own words for a category into the declared ones, by a file of two columns.

A word that the file does not have goes on as it is, to the ordinary check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from cleanroom.catalog import Category
from cleanroom.client.columns import written_text
from cleanroom.client.csv_rows import UnevenRows, read_header, read_rows
from cleanroom.client.csv_text import find_text, unreadable
from cleanroom.client.near import near_category
from cleanroom.client.values import ReasonKind, category_value, clean
from cleanroom.errors import Bilingual, InvalidUpload, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cleanroom.catalog import TableCatalog

_SHOWN: Final = 10
_MOST_WORDS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a column's values are replaced with.

    Args:
        column: a declared category.
        words: what is written, in NFC without white space around, and the value of the domain that it means; no word
            twice.
    """

    column: str
    words: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VocabularyUse:
    """How a vocabulary was used.

    Args:
        replaced: rows whose value it replaced.
        unused: its words that no row has, in their order.
    """

    column: str
    replaced: int
    unused: tuple[str, ...]


class Translation:
    """A vocabulary at work: counts what it replaces."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._written = [written for written, _ in vocabulary.words]
        self._meant = [meant for _, meant in vocabulary.words]
        self._unused = dict.fromkeys(self._written)
        self._replaced = 0

    def __call__(self, values: pl.Series) -> pl.Series:
        """Return the values with every known word replaced."""
        if values.dtype.is_nested() or values.dtype in {pl.Binary, pl.Object, pl.Time, pl.Duration}:
            return values
        text = written_text(values)
        known = text.is_in(self._written).fill_null(value=False)
        if not known.any():
            return values
        self._replaced += int(known.sum())
        if self._unused:
            for word in text.filter(known).unique():
                self._unused.pop(word, None)
        return text.replace(self._written, self._meant)

    def use(self) -> VocabularyUse:
        """Say how it was used so far."""
        return VocabularyUse(self._vocabulary.column, self._replaced, tuple(self._unused))


def read_vocabulary(column: str, path: Path, catalog: TableCatalog) -> Vocabulary:
    """Read a file of two columns, any CSV that is read as a source: what is written, and what is meant.

    The first line is a header, whatever it says; the values meant are of the column's declared domain. The same line
    twice is one; a word with two meanings is an error.

    Raises:
        UsageError: the column is no declared category, or there is no such file.
        InvalidUpload: the file cannot be read, or lines of it are not as above; names them.
    """
    kind = _category(column, catalog)
    if not path.is_file():
        raise UsageError(Bilingual(f"fichier introuvable : {path}", f"no such file: {path}"), code="no_source")
    text = find_text(path)
    header, delimiter = read_header(text, lambda names: len(names) == 2)
    if len(header) != 2:
        raise unreadable(
            path.name,
            f"un vocabulaire a deux colonnes, « écrit » et « voulu » ; il y en a {len(header)}",
            f"a vocabulary has two columns, what is written and what is meant; there are {len(header)}",
        )
    uneven = UnevenRows(2)
    with text.opened() as opened:
        read = pl.concat(
            [
                pl.DataFrame(schema={"0": pl.String, "1": pl.String}),
                *read_rows(opened, delimiter, 2, (0, 1), uneven),
            ]
        )
    if uneven.counts:
        raise uneven.error(path.name, uneven.first)
    if read.height > _MOST_WORDS:
        raise unreadable(path.name, f"plus de {_MOST_WORDS} mots", f"more than {_MOST_WORDS} words")
    return Vocabulary(column, _words(path.name, header, read, kind))


def require_vocabularies(vocabularies: Sequence[Vocabulary], catalog: TableCatalog) -> None:
    """Check vocabularies against the table.

    Raises:
        UsageError: a column is no declared category, or has two vocabularies, or a meaning is not of its domain.
    """
    columns = [vocabulary.column for vocabulary in vocabularies]
    for vocabulary in vocabularies:
        kind = _category(vocabulary.column, catalog)
        if columns.count(vocabulary.column) > 1:
            raise UsageError(
                Bilingual(
                    f"deux vocabulaires pour « {vocabulary.column} » ; réunissez-les en un fichier",
                    f"two vocabularies for {vocabulary.column!r}; put them into one file",
                ),
                code="map_twice",
            )
        for written, meant in vocabulary.words:
            if meant not in kind.domain or clean(written) != written:
                raise UsageError(
                    Bilingual(f"vocabulaire mal formé : {written!r}", f"malformed vocabulary: {written!r}"),
                    code="invalid_map",
                )


def _category(column: str, catalog: TableCatalog) -> Category:
    found = catalog.column(column)
    if found is not None and isinstance(found.type, Category):
        return found.type
    there = ", ".join(each.name for each in catalog.columns if isinstance(each.type, Category))
    raise UsageError(
        Bilingual(
            f"« {column} » n'est pas une catégorie déclarée de {catalog.table} ; il y a : {there or 'aucune'}",
            f"{column!r} is no declared category of {catalog.table}; there is: {there or 'none'}",
        ),
        code="unknown_column",
    )


def _words(name: str, header: list[str], read: pl.DataFrame, kind: Category) -> tuple[tuple[str, str], ...]:
    # A vocabulary is a page or two that somebody wrote: plain Python is quick enough, and says lines exactly.
    words: dict[str, str] = {}
    wrong: list[Bilingual] = []
    if not isinstance(category_value(clean(header[1]) or "", kind), ReasonKind):
        wrong.append(
            Bilingual(
                f"la première ligne doit être un en-tête, par exemple « écrit,voulu » ; c'est {header!r}",
                f"the first line must be a header, such as 'written,meant'; it is {header!r}",
            )
        )
    for row, (written, meant) in enumerate(read.iter_rows(), start=1):
        word, target = clean(written), clean(meant)
        if word is None or target is None:
            wrong.append(Bilingual(f"ligne {row} : il manque un mot", f"row {row}: a word is missing"))
            continue
        value = category_value(target, kind)
        if isinstance(value, ReasonKind):
            near = near_category(target, kind)
            hint = Bilingual("", "") if near is None else Bilingual(f" (serait-ce « {near} » ?)", f" (is it {near!r}?)")
            wrong.append(
                Bilingual(
                    f"ligne {row} : {target!r} est hors du domaine déclaré{hint.fr}",
                    f"row {row}: {target!r} is not in the declared domain{hint.en}",
                )
            )
        elif words.setdefault(word, value) != value:
            wrong.append(
                Bilingual(
                    f"ligne {row} : {word!r} veut déjà dire {words[word]!r}, et ici {value!r}",
                    f"row {row}: {word!r} means {words[word]!r} already, and here {value!r}",
                )
            )
    if wrong:
        raise InvalidUpload(
            Bilingual(
                "\n".join([f"{name} : vocabulaire refusé ; rien n'a été déposé", *_first([each.fr for each in wrong])]),
                "\n".join([f"{name}: vocabulary refused; nothing was uploaded", *_first([each.en for each in wrong])]),
            ),
            code="invalid_map",
        )
    return tuple(words.items())


def _first(lines: list[str]) -> list[str]:
    more = [f"  … {len(lines)}"] if len(lines) > _SHOWN else []
    return [f"  {line}" for line in lines[:_SHOWN]] + more
