"""Read what is written on the command line: exact numbers, names, times, parameters."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual, Language, UsageError
from cleanroom.identifiers import InvalidName, PartyId, TableName, UploadId, fold, party_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit_log import EventType

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_SHARES: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})", re.ASCII)
_ENTRIES: Final = re.compile(r"([0-9]{1,15})(-([0-9]{1,15})?)?", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
MOST_SHARES: Final = 99
MOST_PORTS: Final = 65535


class MalformedJson(ValueError):
    """A text is not JSON, or not of the kind that both sides read alike."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads values, and says in one language which are not as documented."""

    language: Language

    def text(self, written: str) -> str:
        """Return a text that is characters: the command line was UTF-8."""
        try:
            written.encode()
        except UnicodeEncodeError:
            raise self._wrong("ce texte n'est pas en UTF-8", "this text is not UTF-8") from None
        return written

    def exact(self, written: str) -> Decimal:
        """Return a number, exactly as written."""
        if _NUMBER.fullmatch(written) is None:
            raise self._wrong(
                f"« {written} » n'est pas un nombre (il s'écrit avec un point : 0.5)", f"{written!r} is not a number"
            )
        return Decimal(written)

    def count(self, written: str) -> int:
        """Return a number of rows or groups, from 1."""
        if _COUNT.fullmatch(written) is None:
            raise self._wrong(
                f"« {written} » n'est pas un nombre entier positif", f"{written!r}: a whole number from 1"
            )
        return int(written)

    def count_or_auto(self, written: str) -> int | str:
        """Return a number of rows, from 1, or `auto`."""
        return written if written == "auto" else self.count(written)

    def exact_or_auto(self, written: str) -> Decimal | str:
        """Return a number, exactly as written, or `auto`."""
        return written if written == "auto" else self.exact(written)

    def party(self, written: str) -> PartyId:
        """Return a party's name; ASCII case does not matter."""
        return self.new_party(fold(written))

    def new_party(self, written: str) -> PartyId:
        """Return the name of a party to be."""
        try:
            return party_id(written)
        except InvalidName:
            raise self._not_a_name(written) from None

    def table(self, written: str) -> TableName:
        """Return a table's name, `member.table`; ASCII case does not matter."""
        try:
            return TableName.parse(fold(written))
        except InvalidName:
            raise self._wrong(
                f"« {written} » : une table s'écrit « membre.table »", f"{written!r}: a table is written member.table"
            ) from None

    def upload(self, written: str) -> UploadId:
        """Return an upload's id."""
        # Help and usage errors do without what the package needs.
        from cleanroom.partition.intent import is_upload

        if not is_upload(fold(written)):
            raise self._wrong(
                f"« {written} » : un dépôt se nomme par 32 chiffres hexadécimaux",
                f"{written!r}: an upload is named by 32 hexadecimal digits",
            )
        return UploadId(fold(written))

    def shares(self, written: str) -> tuple[int, int]:
        """Return (k, n) of `K/N`: n shares, of which k open the room."""
        found = _SHARES.fullmatch(written)
        threshold, shares = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 2 <= threshold <= shares <= MOST_SHARES:
            raise self._wrong(
                f"« {written} » : K/N, avec 2 ≤ K ≤ N ≤ {MOST_SHARES}",
                f"{written!r}: K/N, with 2 ≤ K ≤ N ≤ {MOST_SHARES}",
            )
        return threshold, shares

    def since(self, written: str) -> int:
        """Return Unix seconds of an ISO 8601 date or time (UTC unless it says otherwise), or of seconds."""
        if _SECONDS.fullmatch(written):
            return int(written)
        try:
            moment = datetime.fromisoformat(written)
            return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
        except (ValueError, OverflowError):
            raise self._wrong(
                f"« {written} » : une date (2026-01-31), un moment (2026-01-31T12:00Z) ou des secondes Unix",
                f"{written!r}: a date (2026-01-31), a moment (2026-01-31T12:00Z) or Unix seconds",
            ) from None

    def log_place(self, written: str) -> Path | str:
        """Return where a log is: a URL as text, anything else as a path."""
        return written if written.startswith(("http://", "https://")) else self.path(written)

    def address(self, written: str) -> tuple[str, int]:
        """Return host and port of `HOST:PORT`."""
        host, colon, port = written.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > MOST_PORTS:
            raise self._wrong(f"« {written} » : HÔTE:PORT", f"{written!r}: HOST:PORT")
        return host, int(port)

    def ordinal(self, written: str) -> int:
        """Return a party's place in the log's map of parties, from 0."""
        if _COUNT.fullmatch(written) is None and written != "0":
            raise self._wrong(f"« {written} » n'est pas un numéro", f"{written!r}: a number from 0")
        return int(written)

    def event(self, written: str) -> EventType:
        """Return a kind of event."""
        from audit_log import EventType

        try:
            return EventType(written)
        except ValueError:
            known = ", ".join(each.value for each in EventType)
            raise self._wrong(f"« {written} » : au choix, {known}", f"{written!r}: one of {known}") from None

    def entries(self, written: str) -> tuple[int, int | None]:
        """Return the first and last entry of `A-B`, `A-` or `A`."""
        found = _ENTRIES.fullmatch(written)
        first, last = (int(found[1]), found[3]) if found else (0, None)
        end = first if found and found[2] is None else int(last) if last else None
        if found is None or (end is not None and end < first):
            raise self._wrong(f"« {written} » : A-B, A- ou A", f"{written!r}: A-B, A- or A")
        return first, end

    def parameters(self, written: str) -> list[object] | dict[str, object]:
        """Return the parameters of a question: a list for `?`, an object for `$name`."""
        try:
            value = read_json(self.text(written))
        except MalformedJson:
            value = None
        if not isinstance(value, list | dict):
            raise self._wrong(
                "une liste JSON (pour ?) ou un objet JSON (pour $nom) est attendu",
                "a JSON list (for ?) or a JSON object (for $name) is expected",
            )
        return value

    def weights(self, written: str) -> dict[str, object]:
        """Return the weights of an answer's values, by their names."""
        try:
            value = read_json(self.text(written))
        except MalformedJson:
            value = None
        if not isinstance(value, dict):
            raise self._wrong(
                "un objet JSON est attendu : le nom d'une valeur, et son poids",
                "a JSON object is expected: a value's name, and its weight",
            )
        return value

    def path(self, written: str) -> Path:
        """Return a path."""
        if not written or "\0" in written:
            raise self._wrong("un chemin est attendu", "a path is expected")
        return Path(written)

    def _not_a_name(self, written: str) -> argparse.ArgumentTypeError:
        return self._wrong(
            f"« {written} » n'est pas un nom (minuscules ASCII, chiffres et _, une lettre d'abord)",
            f"{written!r} is not a name (lowercase ASCII letters, digits and _, a letter first)",
        )

    def _wrong(self, fr: str, en: str) -> argparse.ArgumentTypeError:
        return argparse.ArgumentTypeError(fr if self.language is Language.FR else en)


def read_json(text: str) -> object:
    """Read one JSON value: integers and decimals exactly, no name twice, no NaN.

    Raises:
        MalformedJson: anything else.
    """
    try:
        value: object = json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_name_twice
        )
    except (ValueError, RecursionError, ArithmeticError):
        raise MalformedJson from None
    return value


def _no_constant(name: str) -> object:
    raise MalformedJson(name)


def _no_name_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise MalformedJson("a name twice")
    return read


def read_questions(content: bytes) -> list[dict[str, object]]:
    """Read lines `{"id":…, "sql":…, "params":…}`; empty lines are passed over.

    Raises:
        UsageError: a line is something else; names its number.
    """
    questions = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = read_json(line.decode())
        except (UnicodeDecodeError, MalformedJson):
            raise _malformed_line(number, "du JSON en UTF-8 est attendu", "JSON in UTF-8 is expected") from None
        if not isinstance(value, dict) or not isinstance(value.get("sql"), str):
            raise _malformed_line(
                number,
                'un objet {"id":…, "sql":"…", "params":…} est attendu',
                'an object {"id":…, "sql":"…", "params":…} is expected',
            )
        if not isinstance(value.get("params"), list | dict | None):
            raise _malformed_line(
                number, "params est une liste (pour ?) ou un objet (pour $nom)", "params is a list or an object"
            )
        questions.append({"id": value.get("id"), "sql": value["sql"], "params": value.get("params")})
    return questions


def _malformed_line(number: int, fr: str, en: str) -> UsageError:
    return UsageError(Bilingual(f"ligne {number} : {fr}", f"line {number}: {en}"), code="malformed_line")


def language_of(arguments: Sequence[str], default: str | None) -> tuple[Language, list[str]]:
    """Return the language asked for, and the arguments without it; `--lang` may stand anywhere before `--`.

    Args:
        default: `$CLEANROOM_LANG`: `en`, `en_CA.UTF-8`; anything but English means French.

    Raises:
        UsageError: a language that the command does not speak.
    """
    language = Language.EN if (default or "").lower().startswith("en") else Language.FR
    rest: list[str] = []
    chosen: list[str] = []
    remaining = list(arguments)
    while remaining:
        each = remaining.pop(0)
        if each == "--":
            rest += [each, *remaining]
            break
        if each == "--lang":
            chosen.append(remaining.pop(0) if remaining else "")
        elif each.startswith("--lang="):
            chosen.append(each.removeprefix("--lang="))
        else:
            rest.append(each)
    for each in chosen:
        if each not in {known.value for known in Language}:
            raise UsageError(Bilingual("--lang : fr ou en", "--lang: fr or en"), code="usage")
        language = Language(each)
    return language, rest
