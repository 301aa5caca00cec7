"""Claims of tokens as OWN reads them, by hand: there is one for each registration, and the schema's decoder takes three
times as long.

What is not as our writers write it goes to the schema's decoder, which tells what is wrong with it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import TOKEN_HASH_BYTES
from pushcast.model.ownership import NOBODY, Claim, TokenHolder, registration_of, token_of
from pushcast.wire.avro_bytes import END, long_at, text_at, time_at
from pushcast.wire.devices.ownership import CLAIM_FRAME, MAX_CLAIMS, decode_claims, is_over, registration_columns
from pushcast.wire.schemas import FRAME_BYTES

_DIGEST: Final = bytes((TOKEN_HASH_BYTES << 1,))
_MAX_HEADS: Final = 64
_MAX_HIGHS: Final = 4096

#: Whether a registration is over, and how a mark's key begins. Few differ, and what they are read from ends where they
#: end.
_Head = tuple[bool, bytes]
_heads: dict[bytes, _Head] = {}
#: Ends of times that were read whole.
_highs: set[bytes] = set()


class ReadClaim(msgspec.Struct, frozen=True, gc=False):
    """A claim whose columns are valid and stand as they were written: most are only written on, into a new mark."""

    key: bytes  # `Token.key()`
    over: bool
    is_held: bool  # a device has the token by it
    columns: bytes  # user, device and time: a mark begins with the same
    holder: TokenHolder | None = None

    def claim(self) -> Claim:
        """The claim itself."""
        columns, token = self.columns, token_of(self.key)
        user, at = text_at(columns, 0)
        device, at = text_at(columns, at)
        registered_at, _ = time_at(columns, at)
        return Claim(token, registration_of(user, token.app, device, registered_at), self.over, self.holder)


def read_claims(key: bytes | None, value: bytes | None) -> list[ReadClaim]:
    """In the order in which they were made. Raises InvalidInput naming the field."""
    if key is not None and len(key) == TOKEN_HASH_BYTES and value is not None and value[:FRAME_BYTES] == CLAIM_FRAME:
        try:
            return _read(key, value)
        except (IndexError, ValueError, InvalidInput):
            pass  # the decoder says it better
    return [_encoded(claim) for claim in decode_claims(key, value)]


def _encoded(claim: Claim) -> ReadClaim:
    is_held = not claim.over and claim.registration.key != NOBODY
    columns = registration_columns(claim.registration)
    return ReadClaim(claim.token.key(), claim.over, is_held, columns, claim.holder)


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
    """Of a device whose ids have at most 63 bytes each."""
    (over, prefix), begin = _head(value, at)
    user = value[begin]
    device_at = begin + 1 + (user >> 1)
    device = value[device_at]
    time_begins = device_at + 1 + (device >> 1)
    ids = value[begin:time_begins]
    # A size of nothing is a NUL, too, and sizes up to 63 are ASCII: one look at both ids with their sizes.
    if (user | device) & 0x81 or b"\0" in ids:
        raise ValueError("a long id, none, or one with a NUL")
    ids.decode()
    end = time_begins + 6
    if value[time_begins + 2 : end] not in _highs or not value[time_begins] & value[time_begins + 1] & 0x80:
        end = _time_ends(value, time_begins)
    return ReadClaim(prefix + digest, over, not over, value[begin:end]), end


def _time_ends(value: bytes, at: int) -> int:
    """Nearly all times have six bytes, of which the last four are the same for minutes."""
    _, end = time_at(value, at)
    if end == at + 6:
        if len(_highs) >= _MAX_HIGHS:
            _highs.clear()
        _highs.add(value[at + 2 : end])
    return end


def _head(value: bytes, at: int) -> tuple[_Head, int]:
    for known, head in _heads.items():
        if value.startswith(known, at):
            return head, at + len(known)
    op, end = text_at(value, at)
    app, end = text_at(value, end)
    platform, end = text_at(value, end)
    head = is_over(op, app, platform), f"{app}\0{platform}\0".encode()
    if len(_heads) >= _MAX_HEADS:
        _heads.clear()
    _heads[value[at:end]] = head
    return head, end
