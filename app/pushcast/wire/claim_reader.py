"""Claims of tokens as OWN reads them, by hand: there is one for each registration, and the schema's decoder takes three
times as long.

What is not as our writers write it goes to the schema's decoder, which tells what is wrong with it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import MAX_ID_BYTES, TOKEN_HASH_BYTES
from pushcast.model.ownership import NOBODY, Claim, Registration, token_of
from pushcast.wire.avro_bytes import END, long_at, text_at, time_at
from pushcast.wire.ownership import MAX_CLAIMS, decode_claims, is_over, registration_columns
from pushcast.wire.schemas import FRAME_BYTES, avro_type

_FRAME: Final = avro_type("token_claim").frame
_DIGEST: Final = bytes((TOKEN_HASH_BYTES << 1,))
_MAX_HEADS: Final = 64
_LONGEST_TIME: Final = 9  # bytes; a tenth would pass 63 bits

#: Whether a registration is over, the app as a row's key has it, and how a mark's key begins. Few differ, and what they
#: are read from ends where they end.
_Head = tuple[bool, bytes, bytes]
_heads: dict[bytes, _Head] = {}


class ReadClaim(msgspec.Struct, frozen=True, gc=False):
    """A claim whose columns are valid and stand as they were written: most are only written on, into a new mark."""

    key: bytes  # `Token.key()`
    row_key: bytes  # of the device; NOBODY
    over: bool
    columns: bytes  # user, device and time: a mark begins with the same

    def claim(self) -> Claim:
        """The claim itself."""
        at, _ = time_at(self.columns, time_begins(self.columns))
        return Claim(token_of(self.key), Registration(at, self.row_key), self.over)


def time_begins(columns: bytes) -> int:
    """Where it stands behind user and device."""
    size, at = long_at(columns, 0)
    size, at = long_at(columns, at + size)
    return at + size


def read_claims(key: bytes | None, value: bytes | None) -> list[ReadClaim]:
    """In the order in which they were made. Raises InvalidInput naming the field."""
    if key is not None and len(key) == TOKEN_HASH_BYTES and value is not None and value[:FRAME_BYTES] == _FRAME:
        try:
            return _read(key, value)
        except (IndexError, ValueError, InvalidInput):
            pass  # the decoder says it better
    return [_encoded(claim) for claim in decode_claims(key, value)]


def _encoded(claim: Claim) -> ReadClaim:
    return ReadClaim(claim.token.key(), claim.registration.key, claim.over, registration_columns(claim.registration))


def _read(digest: bytes, value: bytes) -> list[ReadClaim]:
    """Raises IndexError or ValueError for what it does not understand."""
    claim, at = _claim(digest, value, FRAME_BYTES)
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
    if value[at:] != (END if more else b""):
        raise ValueError("not claims of our writers")
    return claims


def _claim(digest: bytes, value: bytes, at: int) -> tuple[ReadClaim, int]:
    (over, infix, prefix), begin = _head(value, at)
    size = value[begin]
    if size & 0x81:
        size, at = long_at(value, begin)
    else:
        size, at = size >> 1, begin + 1
    end = at + size
    user = value[at:end]
    size = value[end]
    if size & 0x81:
        size, at = long_at(value, end)
    else:
        size, at = size >> 1, end + 1
    end = at + size
    device = value[at:end]
    at = end
    while value[end] > 0x7F:
        end += 1
    end += 1
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
    if end - at > _LONGEST_TIME or size < 0:
        raise ValueError("no time")
    return ReadClaim(prefix + digest, row_key, over, value[begin:end]), end


def _head(value: bytes, at: int) -> tuple[_Head, int]:
    for known, head in _heads.items():
        if value.startswith(known, at):
            return head, at + len(known)
    op, end = text_at(value, at)
    app, end = text_at(value, end)
    platform, end = text_at(value, end)
    head = is_over(op, app, platform), f"\0{app}\0".encode(), f"{app}\0{platform}\0".encode()
    if len(_heads) >= _MAX_HEADS:
        _heads.clear()
    _heads[value[at:end]] = head
    return head, end
