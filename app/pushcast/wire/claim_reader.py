"""Claims of tokens as OWN reads them, by hand: there is one for each registration, and the schema's decoder takes three
times as long.

What is not as our writers write it goes to the schema's decoder, which tells what is wrong with it.
"""

from __future__ import annotations

from typing import Final

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import MAX_ID_BYTES, TOKEN_HASH_BYTES
from pushcast.model.ownership import NOBODY, Claim, Registration, Token
from pushcast.wire.avro_bytes import long_at, text_at, time_at
from pushcast.wire.ownership import MAX_CLAIMS, decode_claims, is_over
from pushcast.wire.schemas import FRAME_BYTES, avro_type

_FRAME: Final = avro_type("token_claim").frame
_DIGEST: Final = bytes((TOKEN_HASH_BYTES << 1,))
_MAX_HEADS: Final = 64

#: Whether a registration is over, app and platform: few differ, and their bytes end where they end.
_Head = tuple[bool, str, str, bytes]
_heads: dict[bytes, _Head] = {}


def read_claims(key: bytes | None, value: bytes | None) -> list[Claim]:
    """In the order in which they were made. Raises InvalidInput naming the field."""
    if key is not None and len(key) == TOKEN_HASH_BYTES and value is not None and value[:FRAME_BYTES] == _FRAME:
        try:
            return _read(key, value)
        except (IndexError, ValueError, InvalidInput):
            pass  # the decoder says it better
    return decode_claims(key, value)


def _read(key: bytes, value: bytes) -> list[Claim]:
    """Raises IndexError or ValueError for what it does not understand."""
    claim, at = _claim(key, value, FRAME_BYTES)
    claims = [claim]
    more, at = long_at(value, at)
    if not 0 <= more < MAX_CLAIMS:
        raise ValueError("several blocks, or too many claims")
    for _ in range(more):
        if not value.startswith(_DIGEST, at):
            raise ValueError("no token's hash")
        end = at + 1 + TOKEN_HASH_BYTES
        claim, at = _claim(value[at + 1 : end], value, end)
        claims.append(claim)
    if value[at:] != (b"\0" if more else b""):
        raise ValueError("not claims of our writers")
    return claims


def _claim(digest: bytes, value: bytes, at: int) -> tuple[Claim, int]:
    (over, app, platform, infix), at = _head(value, at)
    size, at = long_at(value, at)
    user = value[at : at + size]
    more, after = long_at(value, at + size)
    device = value[after : after + more]
    registered_at, end = time_at(value, after + more)
    if size < 0 or more < 0:
        raise ValueError("a size is below zero")
    if user and device:
        row_key = user + infix + device
        # One look at the key instead of one at each of its parts.
        if row_key.count(b"\0") != 2 or len(user) > MAX_ID_BYTES or len(device) > MAX_ID_BYTES:
            raise ValueError("no key of a row")
        row_key.decode()
    elif user or device or over:
        raise ValueError("half a device")
    else:
        row_key = NOBODY
    return Claim(Token(app, platform, digest), Registration(registered_at, row_key), over), end


def _head(value: bytes, at: int) -> tuple[_Head, int]:
    for known, head in _heads.items():
        if value.startswith(known, at):
            return head, at + len(known)
    op, end = text_at(value, at)
    app, end = text_at(value, end)
    platform, end = text_at(value, end)
    head = is_over(op, app, platform), app, platform, f"\0{app}\0".encode()
    if len(_heads) >= _MAX_HEADS:
        _heads.clear()
    _heads[value[at:end]] = head
    return head, end
