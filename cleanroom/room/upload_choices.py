"""What a member chooses for an upload, and whom its machine remembers for it: who said no, and who was erased."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cleanroom.client import (
    BadRows,
    ErasedMemory,
    Options,
    OptOut,
    OptOutMemory,
    OutOfBounds,
    Reading,
    Treatment,
    read_identifiers,
    read_vocabulary,
)
from cleanroom.client.progress import Progress, unheard

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.client import LinkageKey
    from cleanroom.room.home import Home
    from cleanroom.room.member_facts import MemberFacts


@dataclass(frozen=True, slots=True)
class UploadChoices:
    """How an upload's files are read, and what becomes of rows that are not as declared.

    Args:
        maps: vocabularies: a column, and a file of two columns.
        opt_out: a file of identifiers of people who said no; they are remembered before anything travels.
    """

    reading: Reading = field(default_factory=Reading)
    bad_rows: BadRows = BadRows.REFUSE
    out_of_bounds: OutOfBounds = OutOfBounds.REFUSE
    maps: tuple[tuple[str, Path], ...] = ()
    opt_out: Path | None = None
    progress: Progress = unheard


def options_of(
    choices: UploadChoices, home: Home, facts: MemberFacts, linkage_key: LinkageKey, *, remember: bool
) -> Options:
    """Read the files of the choices, and the lists of those who said no, and of those who were erased.

    Args:
        remember: whether those of the choices' own list are remembered; else they count this time only.

    Raises:
        InvalidUpload: a vocabulary or list is not what it must be; names its lines.
        UsageError: there is no such file, or no such column.
        Fault: the remembered list is damaged, or of another epoch: nobody may be forgotten.
    """
    vocabularies = tuple(read_vocabulary(column, path, facts.catalog) for column, path in choices.maps)
    memory = OptOutMemory(home.path, facts.table.owner, linkage_key)
    listed = memory.read()
    if choices.opt_out is not None:
        those = opt_out_of(choices.opt_out, facts, linkage_key)
        listed = memory.add(those) if remember else listed.with_those_of(those)
    return Options(
        reading=choices.reading,
        treatment=Treatment(choices.bad_rows, choices.out_of_bounds, vocabularies),
        opt_out=listed,
        erased=ErasedMemory(home.path, facts.table.owner, linkage_key).read(),
        progress=choices.progress,
    )


def opt_out_of(path: Path, facts: MemberFacts, linkage_key: LinkageKey) -> OptOut:
    """Return the tokens of a file of identifiers, of the kind that a table's are."""
    unit = facts.catalog.unit
    return OptOut.of(read_identifiers(path, unit), unit.token_kind, linkage_key)


def digest_of(options: Options) -> str:
    """Return what tells an upload's options from others that make other rows of the same files."""
    digest = hashlib.sha256(repr((options.reading, options.treatment)).encode())
    for line in options.opt_out.lines:
        digest.update(f"\n{line}".encode())
    return digest.hexdigest()
