"""Remember who said no: a member's list of tokens, never of e-mails, applied to every later upload of that member.

    rooms/ROOM_ID/opt-out/PARTY.EPOCH     mode 0600, in the member's home; text of seven lines and the list:

    a label, the room, the party, the epoch, how many tokens, HMAC-SHA-256 of all the rest under the linkage key, an
    empty line; then a line for each token, its kind and 32 hexadecimal digits, in order

A list that cannot be read whole stops the upload: taken for an empty one, it would let those travel who said no.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from cleanroom.client.linkage import LinkageKey, linkage_path
from cleanroom.client.tokens import TOKEN_BYTES, hmac_key, token_column
from cleanroom.errors import Bilingual, Fault
from cleanroom.partition.package import replacing, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cleanroom.identifiers import PartyId, TokenKind

_HEAD_LINES: Final = 7
_LARGEST_HEAD: Final = 4096
_LARGEST_FILE: Final = 1 << 30
_LINE: Final = rf"\A[a-z0-9_:]{{1,200}} [0-9a-f]{{{2 * TOKEN_BYTES}}}\z"
_COUNT: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Which list a file is: its label, where it lies, what it is called, what to do when it is damaged."""

    label: str
    directory: str
    called: Bilingual
    damaged: Bilingual
    code: str


_OPT_OUT: Final = _Kept(
    "cleanroom/opt-out/v1",
    "opt-out",
    Bilingual("liste de refus", "opt-out list"),
    Bilingual(
        "elle est endommagée, ou d'une autre clé d'appariement ; remettez-la d'une copie, ou refaites-la avec "
        "`cleanroom opt-out --add` après l'avoir écartée",
        "it is damaged, or of another linkage key; restore it from a copy, or make it again with "
        "`cleanroom opt-out --add` after moving it away",
    ),
    "opt_out_refused",
)
_ERASED: Final = _Kept(
    "cleanroom/erased/v1",
    "erased",
    Bilingual("liste des personnes effacées", "list of erased people"),
    Bilingual(
        "elle est endommagée, ou d'une autre clé d'appariement ; remettez-la d'une copie, ou écartez-la : vos dépôts "
        "ne diront plus quelles personnes effacées reviennent",
        "it is damaged, or of another linkage key; restore it from a copy, or move it away: your uploads will no "
        "longer say which erased people come back",
    ),
    "erased_list_refused",
)


@dataclass(frozen=True, slots=True)
class OptOut:
    """The tokens of those who said no; `lines` are "KIND TOKEN", sorted, none twice."""

    lines: pl.Series

    @classmethod
    def none(cls) -> OptOut:
        """Return the list of nobody."""
        return cls(pl.Series("line", [], dtype=pl.String))

    @classmethod
    def of(cls, identifiers: pl.Series, kind: TokenKind, linkage_key: LinkageKey) -> OptOut:
        """Return the list of normalised identifiers."""
        digits = token_column(linkage_key.secret, kind=kind, epoch=linkage_key.epoch, values=identifiers)
        return cls._of_lines((pl.Series("line", [f"{kind} "]) + digits).rename("line") if len(digits) else digits)

    @classmethod
    def of_lines(cls, lines: Sequence[str]) -> OptOut:
        """Return the list of lines "KIND TOKEN"."""
        return cls._of_lines(pl.Series("line", lines, dtype=pl.String))

    @classmethod
    def _of_lines(cls, lines: pl.Series) -> OptOut:
        return cls(lines.rename("line").unique().sort())

    def __len__(self) -> int:
        return len(self.lines)

    def tokens(self, kind: TokenKind) -> pl.Series:
        """Return the tokens of a kind, as 32 hexadecimal digits each."""
        prefix = f"{kind} "
        return self.lines.filter(self.lines.str.starts_with(prefix)).str.strip_prefix(prefix).rename("token")

    def with_those_of(self, other: OptOut) -> OptOut:
        """Return both lists as one."""
        return OptOut._of_lines(pl.concat([self.lines, other.lines]))

    def without_those_of(self, other: OptOut) -> OptOut:
        """Return this list without those of the other."""
        return OptOut(self.lines.filter(~self.lines.is_in(other.lines.implode())))


@dataclass(frozen=True, slots=True)
class OptOutMemory:
    """Where a member's list lies; `home` is the member's."""

    home: Path
    party: PartyId
    linkage_key: LinkageKey

    _kept: ClassVar[_Kept] = _OPT_OUT

    @property
    def path(self) -> Path:
        """The file of the linkage key's epoch."""
        return self._directory / f"{self.party}.{self.linkage_key.epoch}"

    @property
    def _directory(self) -> Path:
        key = self.linkage_key
        return linkage_path(self.home, key.room, key.epoch).parent.parent / self._kept.directory

    def read(self) -> OptOut:
        """Return the list; nobody's if there never was one.

        Raises:
            Fault: it is damaged, open to others, of another linkage key; or there is one of another epoch, whose tokens
                nobody can translate: the member must add the identifiers again.
        """
        content = self._content(self.path)
        if content is not None:
            return self._parsed(content)
        for epoch, count in self.of_other_epochs():
            raise Fault(
                Bilingual(
                    f"la liste de refus de {self.party} est de l'époque {epoch} ({count} jetons), la salle en est à "
                    f"{self.linkage_key.epoch} : ses jetons ne se traduisent pas ; redonnez tous les identifiants avec "
                    "`cleanroom opt-out --add`",
                    f"the opt-out list of {self.party} is of epoch {epoch} ({count} tokens), the room is in "
                    f"{self.linkage_key.epoch}: its tokens cannot be translated; give all identifiers again with "
                    "`cleanroom opt-out --add`",
                ),
                code="opt_out_of_other_epoch",
            )
        return OptOut.none()

    def of_other_epochs(self) -> list[tuple[str, int]]:
        """Return the epochs of which there is another list that is not empty, and how many tokens each has.

        Raises:
            Fault: one is damaged.
        """
        files = sorted(self._directory.glob(f"{self.party}.*")) if self._directory.is_dir() else []
        counts = [(file.name.partition(".")[2], self._count_of(file)) for file in files if file != self.path]
        return [(epoch, count) for epoch, count in counts if count]

    def add(self, those: OptOut) -> OptOut:
        """Remember more people; durable when it returns, whatever else happens at the same time.

        Returns:
            The whole list.
        """
        with self._alone():
            # The first list of an epoch is begun here, whatever older ones there are.
            content = self._content(self.path)
            before = OptOut.none() if content is None else self._parsed(content)
            return self._write(before.with_those_of(those))

    def remove(self, those: OptOut) -> OptOut:
        """Forget people who changed their minds; the rest stays.

        Returns:
            The whole list.
        """
        with self._alone():
            return self._write(self.read().without_those_of(those))

    def _write(self, listed: OptOut) -> OptOut:
        body = "".join(f"{line}\n" for line in listed.lines).encode()
        head = [self._kept.label, self.linkage_key.room, self.party, self.linkage_key.epoch, str(len(listed))]
        with replacing(self.path) as file:
            file.write("\n".join([*head, self._code(head, body).hex(), "", ""]).encode() + body)
        return listed

    def _parsed(self, content: bytes) -> OptOut:
        parts = content.split(b"\n", _HEAD_LINES)
        if len(parts) != _HEAD_LINES + 1:
            raise self._damaged(self.path)
        head = [part.decode("utf-8", "replace") for part in parts[:-1]]
        body = parts[-1]
        if head[0] != self._kept.label or head[6] or not hmac.compare_digest(head[5], self._code(head[:5], body).hex()):
            raise self._damaged(self.path)
        lines = pl.Series("line", body.decode("ascii").split("\n")[:-1], dtype=pl.String)
        mine = [self.linkage_key.room, self.party, self.linkage_key.epoch, str(len(lines))]
        if head[1:5] != mine or not lines.str.contains(_LINE).all() or not lines.is_sorted():
            raise self._damaged(self.path)
        return OptOut(lines)

    def _code(self, head: list[str], body: bytes) -> bytes:
        return hmac.digest(hmac_key(self.linkage_key.secret).encode(), "\n".join([*head, ""]).encode() + body, "sha256")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._directory.is_dir():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(self._directory.parent)
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _content(self, path: Path) -> bytes | None:
        """Read a file that its owner alone can read; None if there is none."""
        try:
            # A pipe would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError:
            raise self._damaged(path) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
                raise self._damaged(path)
            if status.st_mode & 0o077 or status.st_uid != os.geteuid():
                raise self._refused(
                    path,
                    "d'autres peuvent la lire ou l'écrire ; faites `chmod 600` sous votre propre compte",
                    "others can read or write it; use `chmod 600` under your own account",
                )
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def _count_of(self, path: Path) -> int:
        """Return how many tokens a list of another epoch says it has; its linkage key may be gone."""
        head = (self._content(path) or b"")[:_LARGEST_HEAD].split(b"\n", _HEAD_LINES)
        count = head[4].decode("utf-8", "replace") if len(head) > _HEAD_LINES else ""
        if head[0] != self._kept.label.encode() or _COUNT.fullmatch(count) is None:
            raise self._damaged(path)
        return int(count)

    def _damaged(self, path: Path) -> Fault:
        return self._refused(path, self._kept.damaged.fr, self._kept.damaged.en)

    def _refused(self, path: Path, fr: str, en: str) -> Fault:
        called = self._kept.called
        return Fault(Bilingual(f"{called.fr} {path} : {fr}", f"{called.en} {path}: {en}"), code=self._kept.code)


@dataclass(frozen=True, slots=True)
class ErasedMemory(OptOutMemory):
    """Where a member remembers whose erasure it asked for: it keeps nothing at home, later uploads say who comes back.

    The file is as the opt-out list's, in `rooms/ROOM_ID/erased/`, under a label of its own.
    """

    _kept: ClassVar[_Kept] = _ERASED

    def read(self) -> OptOut:
        """Return the list of the linkage key's epoch; nobody's if there never was one.

        Raises:
            Fault: it is damaged, open to others, or of another linkage key: somebody could come back unseen.
        """
        content = self._content(self.path)
        return OptOut.none() if content is None else self._parsed(content)
