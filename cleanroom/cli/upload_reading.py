"""What the options of an upload choose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from cleanroom.client import BadRows, DateForm, DecimalMark, Delimiter, Encoding, OutOfBounds, Reading
from cleanroom.errors import Bilingual, UsageError
from cleanroom.room.upload_choices import UploadChoices

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from cleanroom.client import Progress

Named = TypeVar("Named")

_ENCODINGS: Final = {
    "utf-8": Encoding.UTF_8,
    "utf8": Encoding.UTF_8,
    "utf-16": Encoding.UTF_16,
    "utf16": Encoding.UTF_16,
    "windows-1252": Encoding.WINDOWS_1252,
    "cp1252": Encoding.WINDOWS_1252,
    # What is called Latin-1 is read as Windows-1252, as browsers do: it has the same letters, and more.
    "latin-1": Encoding.WINDOWS_1252,
    "iso-8859-1": Encoding.WINDOWS_1252,
    "latin-9": Encoding.LATIN_9,
    "iso-8859-15": Encoding.LATIN_9,
    "macintosh": Encoding.MAC_ROMAN,
    "macroman": Encoding.MAC_ROMAN,
    "cp850": Encoding.DOS_850,
}
_DELIMITERS: Final = {
    "comma": Delimiter.COMMA,
    "virgule": Delimiter.COMMA,
    "semicolon": Delimiter.SEMICOLON,
    "point-virgule": Delimiter.SEMICOLON,
    "tab": Delimiter.TAB,
    "tabulation": Delimiter.TAB,
    r"\t": Delimiter.TAB,
    "pipe": Delimiter.PIPE,
    "barre": Delimiter.PIPE,
} | {each.value: each for each in Delimiter}
_MARKS: Final = {
    "point": DecimalMark.POINT,
    "comma": DecimalMark.COMMA,
    "virgule": DecimalMark.COMMA,
} | {each.value: each for each in DecimalMark}


def reading_of(arguments: argparse.Namespace) -> Reading:
    """Return what the options say of how files are written.

    Raises:
        UsageError: an option's value is not as documented, or two say the same thing differently.
    """
    forms = [_dates(written) for written in arguments.dates]
    for_all = [form for column, form in forms if column is None]
    if len(for_all) > 1:
        raise UsageError(
            Bilingual("--dates sans colonne ne se dit qu'une fois", "--dates without a column is said once"),
            code="form_twice",
        )
    return Reading(
        encoding=_named("--encoding", arguments.encoding, _ENCODINGS),
        delimiter=_named("--delimiter", arguments.delimiter, _DELIMITERS),
        dates=for_all[0] if for_all else None,
        dates_of=tuple((column, form) for column, form in forms if column is not None),
        decimals=_named("--decimal", arguments.decimal, _MARKS),
        sheet=arguments.sheet,
    )


def choices_of(arguments: argparse.Namespace, progress: Progress) -> UploadChoices:
    """Return what the options choose.

    Raises:
        UsageError: an option's value is not as documented, or two say the same thing differently.
    """
    return UploadChoices(
        reading=reading_of(arguments),
        bad_rows=BadRows.LEAVE_OUT if arguments.skip_bad_rows else BadRows.REFUSE,
        out_of_bounds=OutOfBounds.CLIP if arguments.clip else OutOfBounds.REFUSE,
        maps=tuple(_map(written) for written in arguments.map),
        opt_out=arguments.opt_out,
        progress=progress,
    )


def _named(option: str, written: str | None, names: Mapping[str, Named]) -> Named | None:
    if written is None:
        return None
    found = names.get(written.lower())
    if found is None:
        known = ", ".join(name for name in names if len(name) > 2)
        raise _wrong(option, written, known, known)
    return found


def _dates(written: str) -> tuple[str | None, DateForm]:
    column, sign, name = written.rpartition("=")
    form = DateForm.called(name)
    if form is None or (sign and not column):
        raise _wrong(
            "--dates",
            written,
            ", ".join(each.shown.fr for each in DateForm),
            ", ".join(each.shown.en for each in DateForm),
        )
    return (column if sign else None), form


def _map(written: str) -> tuple[str, Path]:
    column, sign, path = written.partition("=")
    if not (column and sign and path) or "\0" in path:
        raise _wrong("--map", written, "COLONNE=FICHIER", "COLUMN=FILE")
    return column, Path(path)


def _wrong(option: str, written: str, fr: str, en: str) -> UsageError:
    return UsageError(
        Bilingual(f"{option} « {written} » : au choix {fr}", f"{option} {written!r}: one of {en}"), code="usage"
    )
