"""Read the file of a public table, and refuse what could name people (S30).

Files are read as members' are: CSV, Excel or Parquet, in batches, each column in one form that is found out. A column
is a number or a date if all its values are; codes with a leading 0 are texts. What looks like addresses, phones or
tokens is refused by its values, and what a member's table calls its persons by its name.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

from cleanroom.catalog import Date, Number
from cleanroom.catalog.reference import LARGEST_CONTENT, MOST_COLUMNS, MOST_ROWS, ReferenceTable, reference_table
from cleanroom.client.columns import conform_column, written_text
from cleanroom.client.headers import column_name
from cleanroom.client.normalise import normalise_column
from cleanroom.client.packing import unreadable
from cleanroom.client.reading import Reading
from cleanroom.client.survey import EVERY_DAY, Survey, any_number, survey
from cleanroom.errors import Bilingual, UsageError
from cleanroom.identifiers import IdentifierKind, InvalidName, identifier

if TYPE_CHECKING:
    from collections.abc import Collection

    from cleanroom.client.read_table import Source
    from cleanroom.client.survey import ColumnSurvey
    from cleanroom.errors import InvalidUpload

_OF_PERSONS: Final = frozenset(
    ["u", "person", "personne", "individu", "courriel", "email", "e_mail", "mail",
     "adresse_courriel", "telephone", "phone", "mobile", "cellulaire", "jeton", "token", "nas", "ssn"]
)  # fmt: skip
"""Names that public columns do not have; `u` is the token's in every partition."""

_WORDS_OF_PERSONS: Final = frozenset(
    ["courriel", "email", "mail", "telephone", "phone", "jeton", "token", "nas", "ssn"]
)
"""Words of such names: courriel_du_client."""

_PERSONS: Final = frozenset(["person", "personne", "individu", "client", "visitor", "visiteur", "member", "membre"])
_NUMBERED: Final = frozenset(["id", "no", "num", "numero", "number", "code"])
"""Together: client_id, no_membre; but not revenu_par_personne."""

_HEX_OR_UUID: Final = r"(?i)\A(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\z"
_ADDRESS: Final = r"[^\s@][@\x{FF20}\x{FE6B}][^\s@]+\.[^\s@]"
"""Fullwidth and small @ are what the ordinary one may have become on its way."""

_MOSTLY: Final = 0.5
_LONGEST_VALUE: Final = 200


def read_reference(
    source: Source, reading: Reading | None = None, *, texts: Collection[str] = (), persons: Collection[str] = ()
) -> ReferenceTable:
    """Read a public table.

    Args:
        source: a path to a CSV, Excel or Parquet file, or a table in memory.
        texts: columns that are texts whatever their values look like.
        persons: how the room's tables call their persons, and the columns that these come from.

    Raises:
        InvalidUpload: it cannot be read, is too large, or has a column that could name people.
        UsageError: `texts` names a column that it does not have.
    """
    seen = survey(source, reading or Reading())
    names = _names(seen)
    unknown = sorted(set(texts) - set(names))
    if unknown:
        raise UsageError(
            Bilingual(f"aucune colonne « {unknown[0]} »", f"no column {unknown[0]!r}"), code="unknown_column"
        )
    if seen.rows > MOST_ROWS:
        raise _refused(seen, f"plus de {MOST_ROWS} lignes", f"more than {MOST_ROWS} rows")
    of_persons = {column_name(each) for each in persons} | _OF_PERSONS
    for name in names:
        words = set(name.split("_"))
        if name in of_persons or words & _WORDS_OF_PERSONS or (words & _PERSONS and words & _NUMBERED):
            raise _refused(
                seen,
                f"la colonne « {name} » porte le nom d'un identifiant de personne ; une table publique n'en a aucun",
                f"the column {name!r} is named like an identifier of persons; a public table has none",
            )
    frame = pl.concat(list(seen.again()), how="vertical_relaxed")
    resolutions: list[Decimal | None] = []
    values: list[pa.Array] = []
    for name, column, series in zip(names, seen.columns, frame.get_columns(), strict=True):
        resolution, read = _column(seen, name, column, series, as_text=name in texts)
        resolutions.append(resolution)
        values.append(read)
    table = reference_table(names, resolutions, values)
    if len(table.content) > LARGEST_CONTENT:
        size = LARGEST_CONTENT >> 20
        raise _refused(seen, f"plus de {size} Mio de valeurs", f"more than {size} MiB of values")
    return table


def _names(seen: Survey) -> list[str]:
    if len(seen.columns) > MOST_COLUMNS:
        raise _refused(seen, f"plus de {MOST_COLUMNS} colonnes", f"more than {MOST_COLUMNS} columns")
    names: list[str] = []
    for column in seen.columns:
        name = column_name(column.header)
        try:
            identifier(name)
        except InvalidName:
            raise _refused(
                seen,
                f"l'en-tête « {column.header} » ne fait pas un nom de colonne",
                f"the header {column.header!r} makes no column's name",
            ) from None
        if name in names:
            raise _refused(seen, f"deux colonnes s'appellent « {name} »", f"two columns are called {name!r}")
        names.append(name)
    return names


def _column(
    seen: Survey, name: str, column: ColumnSurvey, series: pl.Series, *, as_text: bool
) -> tuple[Decimal | None, pa.Array]:
    """Return a column's resolution and its values, if nothing in it could name people."""
    if not column.readable:
        raise _refused(seen, f"le type de « {name} » ne se lit pas", f"the type of {name!r} cannot be read")
    text = written_text(series)
    present = text.drop_nulls()
    if present.is_empty():
        raise _refused(seen, f"la colonne « {name} » est vide", f"the column {name!r} is empty")
    _refuse_persons(seen, name, present)
    if not as_text and not present.str.contains(r"\A-?0[0-9]").any():
        days, numbers = column.days, column.numbers
        if numbers is not None and not numbers.wrong:
            kind: Number | Date = any_number(numbers.resolution)
            form = numbers.form
        elif days is not None and not days.wrong:
            kind, form = EVERY_DAY, days.form
        else:
            return None, _texts(seen, name, text)
        read = conform_column(series, kind, form)
        if not any(wrong.any() for _, wrong in read.faults):
            return kind.resolution if isinstance(kind, Number) else None, read.values.to_arrow()
    return None, _texts(seen, name, text)


def _texts(seen: Survey, name: str, text: pl.Series) -> pa.Array:
    present = text.drop_nulls()
    if (present.str.len_chars() > _LONGEST_VALUE).any() or present.str.contains(r"\p{C}").any():
        raise _refused(
            seen,
            f"« {name} » a des textes de plus de {_LONGEST_VALUE} caractères, ou illisibles",
            f"{name!r} has texts of more than {_LONGEST_VALUE} characters, or unprintable ones",
        )
    return text.to_arrow().cast(pa.string())


def _refuse_persons(seen: Survey, name: str, present: pl.Series) -> None:
    """Refuse a column with one e-mail address or one token in it, or that is phones for the most part."""
    phones = normalise_column(IdentifierKind.PHONE, present).is_not_null().mean()
    if present.str.contains(_HEX_OR_UUID).any():
        what = Bilingual("un jeton", "a token")
    elif present.str.contains(_ADDRESS).any():
        what = Bilingual("une adresse courriel", "an e-mail address")
    elif isinstance(phones, float) and phones > _MOSTLY:
        what = Bilingual("des téléphones", "phone numbers")
    else:
        return
    raise _refused(
        seen,
        f"la colonne « {name} » contient {what.fr} ; une table publique ne nomme personne",
        f"the column {name!r} holds {what.en}; a public table names nobody",
    )


def _refused(seen: Survey, fr: str, en: str) -> InvalidUpload:
    return unreadable(seen.name, fr, en)
