"""Split a root key into paper shares for the cooperative's board: Shamir's scheme over GF(2**128).

The library splits 16-byte secrets, so the root key goes in two halves whose shares are kept together by index; and
fewer shares than the threshold combine silently to a wrong value, so each share carries a check value of the root key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from Crypto.Protocol.SecretSharing import Shamir

from key_management.binding import bind
from key_management.errors import DamagedShare, NotEnoughShares, ShareError, SharesDoNotMatch
from key_management.secret import SecretKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION_LINE: Final = "key_management/shamir-share/v1"
CHECK_LABEL: Final = b"key_management/shamir-check/v1"
MAX_SHARES: Final = 99
_HALF_BYTES: Final = 16
_SET_ID_BYTES: Final = 8
_CHECK_BYTES: Final = 16
_SUM_BYTES: Final = 8

_NUMBER: Final = r"[1-9][0-9]?"
_TEXT: Final = re.compile(
    rf"{re.escape(VERSION_LINE)}\n"
    rf"set (?P<set_id>[0-9a-f]{{16}})\n"
    rf"share (?P<index>{_NUMBER}) of (?P<count>{_NUMBER}), threshold (?P<threshold>{_NUMBER})\n"
    rf"value (?P<value>[0-9a-f]{{4}}(?: [0-9a-f]{{4}}){{15}})\n"
    rf"check (?P<check>[0-9a-f]{{4}}(?: [0-9a-f]{{4}}){{7}})\n"
    rf"sum (?P<sum>[0-9a-f]{{4}}(?: [0-9a-f]{{4}}){{3}})\n?",
    re.ASCII,
)


def _fours(octets: bytes) -> str:
    return octets.hex(" ", 2)


def _sum(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()[:_SUM_BYTES]


def _check_value(root: SecretKey, set_id: bytes, threshold: int, count: int) -> bytes:
    """Return a value that recognises the root key and tells nothing of it: the root is 256 uniformly random bits."""
    message = bind(CHECK_LABEL, set_id, bytes([threshold]), bytes([count]))
    return hmac.digest(root.reveal_secret_bytes(), message, "sha256")[:_CHECK_BYTES]


@dataclass(frozen=True, slots=True)
class Share:
    """Hold one holder's share of a root key; it prints as text only through `reveal_share_text`.

    Args:
        set_id: 8 bytes, one for each split.
        threshold: how many shares recover the root key, 2 to `count`.
        count: how many shares there are, up to 99.
        index: which one this is, 1 to `count`.
        value: the share itself, two points of 16 bytes.
        check: 16 bytes that recognise the root key.

    Raises:
        ShareError: a number is out of its range, or a length is wrong.
    """

    set_id: bytes
    threshold: int
    count: int
    index: int
    value: SecretKey
    check: bytes

    __hash__ = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        _require_counts(self.threshold, self.count)
        if not 1 <= self.index <= self.count:
            raise ShareError(f"a share's index lies between 1 and {self.count}")
        if len(self.set_id) != _SET_ID_BYTES or len(self.check) != _CHECK_BYTES:
            raise ShareError("a share has a set of 8 bytes and a check value of 16")

    def reveal_share_text(self) -> str:
        """Write the share for printing on paper, secret included; `parse_share` reads it back."""
        body = (
            f"{VERSION_LINE}\n"
            f"set {self.set_id.hex()}\n"
            f"share {self.index} of {self.count}, threshold {self.threshold}\n"
            f"value {_fours(self.value.reveal_secret_bytes())}\n"
            f"check {_fours(self.check)}\n"
        )
        return f"{body}sum {_fours(_sum(body))}\n"


def _require_counts(threshold: int, count: int) -> None:
    if not 2 <= threshold <= count <= MAX_SHARES:
        raise ShareError(f"2 <= threshold <= shares <= {MAX_SHARES} is needed, not {threshold} of {count}")


def parse_share(text: str) -> Share:
    """Read a share from its text, exactly as printed; only the last newline may be missing.

    Args:
        text: what `Share.reveal_share_text` gave.

    Raises:
        DamagedShare: the text has another form, or its checksum does not fit it.
    """
    matched = _TEXT.fullmatch(text)
    if matched is None:
        raise DamagedShare("this is not the text of a share; each line must stand exactly as printed")
    index = int(matched["index"])
    if not hmac.compare_digest(_sum(text[: matched.start("sum") - len("sum ")]), bytes.fromhex(matched["sum"])):
        raise DamagedShare(f"share {index} was misread: its checksum does not fit", (index,))
    try:
        return Share(
            set_id=bytes.fromhex(matched["set_id"]),
            threshold=int(matched["threshold"]),
            count=int(matched["count"]),
            index=index,
            value=SecretKey.adopt(bytes.fromhex(matched["value"])),
            check=bytes.fromhex(matched["check"]),
        )
    except ShareError as error:
        raise DamagedShare(str(error), (index,)) from None


def split(root: SecretKey, threshold: int, shares: int) -> tuple[Share, ...]:
    """Split a root key so that any `threshold` of its shares recover it and fewer tell nothing of it.

    Args:
        root: the root key, 256 uniformly random bits.
        threshold: how many shares recover it, at least 2.
        shares: how many shares to make, at most 99.

    Raises:
        ShareError: the numbers are out of range.

    Returns:
        The shares, by index from 1.
    """
    _require_counts(threshold, shares)
    secret = root.reveal_secret_bytes()
    low = dict(Shamir.split(threshold, shares, secret[:_HALF_BYTES]))
    high = dict(Shamir.split(threshold, shares, secret[_HALF_BYTES:]))
    set_id = secrets.token_bytes(_SET_ID_BYTES)
    check = _check_value(root, set_id, threshold, shares)
    return tuple(
        Share(set_id, threshold, shares, index, SecretKey.adopt(low[index] + high[index]), check)
        for index in range(1, shares + 1)
    )


def combine(shares: Iterable[Share]) -> SecretKey:
    """Recover a root key from its shares, each of which is checked.

    Args:
        shares: at least the threshold's number of shares of one set, in any order. More let a damaged one be named.

    Raises:
        NotEnoughShares: fewer than the threshold; nothing is computed.
        SharesDoNotMatch: of different sets, or one index twice.
        DamagedShare: the check value refuses the result.
    """
    brought = tuple(shares)
    if not brought:
        raise NotEnoughShares(0, 2)
    first = brought[0]
    if any(
        (share.set_id, share.threshold, share.count) != (first.set_id, first.threshold, first.count)
        for share in brought
    ):
        raise SharesDoNotMatch("the shares come from different sets")
    indices = [share.index for share in brought]
    twice = sorted({index for index in indices if indices.count(index) > 1})
    if twice:
        raise SharesDoNotMatch(f"share {twice[0]} was brought twice")
    need = first.threshold
    if len(brought) < need:
        raise NotEnoughShares(len(brought), need)
    if any(share.check != first.check for share in brought):
        raise DamagedShare("the shares carry different check values; one of them was altered", tuple(sorted(indices)))

    base, spare = brought[:need], brought[need:]
    root = _interpolate(base)
    if not _is_right(root, first):
        suspects = tuple(sorted(share.index for share in base))
        raise DamagedShare(f"one of the shares {', '.join(map(str, suspects))} was altered", suspects)
    for share in spare:
        if _interpolate((*base[:-1], share)) != root:
            raise DamagedShare(f"share {share.index} was altered", (share.index,))
    return root


def _interpolate(shares: Sequence[Share]) -> SecretKey:
    points = [(share.index, share.value.reveal_secret_bytes()) for share in shares]
    low = Shamir.combine([(index, value[:_HALF_BYTES]) for index, value in points])
    high = Shamir.combine([(index, value[_HALF_BYTES:]) for index, value in points])
    return SecretKey.adopt(low + high)


def _is_right(root: SecretKey, share: Share) -> bool:
    return hmac.compare_digest(_check_value(root, share.set_id, share.threshold, share.count), share.check)
