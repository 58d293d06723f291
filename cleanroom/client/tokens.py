"""Turn normalised identifiers into tokens (DESIGN §9; docs/spec/token.md with its vectors).

token = first 16 bytes of HMAC-SHA-256(key, "cleanroom/token/v1" 00 kind 00 epoch 00 value), the key being the linkage
key's 64 lowercase hexadecimal digits as text. Kind (`email`, `phone`, `opaque`, `opaque:NAME`) and epoch hold no NUL,
and the value comes last, so no two triples share a message even where a value holds one.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

import polars as pl
import polars_hash as plh

from cleanroom.errors import InvariantBroken

if TYPE_CHECKING:
    from cleanroom.identifiers import Epoch, TokenKind
    from key_management.secret import SecretKey

LABEL: Final = "cleanroom/token/v1"
TOKEN_BYTES: Final = 16


def token(linkage_key: SecretKey, *, kind: TokenKind, epoch: Epoch, value: str) -> bytes:
    """Return one token, by the standard library: the reference that the bulk way is tested against.

    Args:
        value: the identifier in its normal form.

    Returns:
        16 bytes.
    """
    message = (_prefix(kind, epoch) + value).encode()
    return hmac.digest(hmac_key(linkage_key).encode(), message, "sha256")[:TOKEN_BYTES]


def token_column(linkage_key: SecretKey, *, kind: TokenKind, epoch: Epoch, values: pl.Series) -> pl.Series:
    """Return the tokens of a String column without nulls, as 32 hexadecimal digits each.

    Raises:
        InvariantBroken: the first token differs from the reference's.
    """
    if values.is_empty():
        return pl.Series("u", [], dtype=pl.String)
    digests = (
        values.rename("value")
        .to_frame()
        .select(pl.lit(_prefix(kind, epoch)) + pl.col("value"))
        .select(plh.col("literal").chash.hmac_sha256(key=hmac_key(linkage_key)))
        .to_series()
    )
    tokens = digests.str.slice(0, 2 * TOKEN_BYTES).rename("u")
    if tokens[0] != token(linkage_key, kind=kind, epoch=epoch, value=values[0]).hex():
        raise InvariantBroken("the bulk token differs from the reference")
    return tokens


def hmac_key(linkage_key: SecretKey) -> str:
    """Return the linkage key as the text that HMAC is keyed with, so that Arrow-side implementations agree."""
    return linkage_key.reveal_secret_bytes().hex()


def _prefix(kind: TokenKind, epoch: Epoch) -> str:
    return f"{LABEL}\0{kind}\0{epoch}\0"
