"""Whose a token is: of all registrations with it the newest, in one order for every process and every replay."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from pushcast.model.ids import TOKEN_HASH_BYTES, device_row_key, split_device_row_key

#: The key of nobody: below every device's, so that a registration of the same time wins.
NOBODY: Final = b""


class Registration(NamedTuple):
    """A device with a token at a time. Greater is newer; of two at one time the greater key is. `at`: milliseconds."""

    at: int
    key: bytes  # of the device's row; NOBODY for a token that was unregistered by itself


class Token(NamedTuple):
    """What one owner is kept of: two apps may have one token."""

    app: str
    platform: str
    digest: bytes  # TOKEN_HASH_BYTES

    def key(self) -> bytes:
        """Key of its row in `push.token.owner.v1`."""
        return _prefix(self.app, self.platform) + self.digest


@lru_cache(maxsize=1024)
def _prefix(app: str, platform: str) -> bytes:
    return f"{app}\0{platform}\0".encode()


class TokenHolder(NamedTuple):
    """What a provider that keeps topics itself is told of a registration: where to reach the device, and what it
    follows. The address stands as in the device's row."""

    kind: str  # of address
    address: bytes
    key_id: str
    topics: tuple[str, ...]


class Claim(NamedTuple):
    """A registration that happened. `over`: it is over, so nothing but its age keeps its mark. `holder`: where topics
    are mirrored."""

    token: Token
    registration: Registration
    over: bool = False
    holder: TokenHolder | None = None


class Mark(NamedTuple):
    """The greatest registration of a token. Times are milliseconds since the epoch."""

    registration: Registration
    live: bool  # False: it is over, and stands on against older claims
    changed_at: int
    moves: int = 0  # to other devices, since `moves_since`
    moves_since: int = 0


class Evict(NamedTuple):
    """A device that must let go of a token, unless it was registered later than the winner."""

    token: Token
    key: bytes  # of the device's row
    winner: Registration


class TokenTopics(NamedTuple):
    """What a provider is to know of one token. `holder.topics` is empty when nobody has the token. `is_new`: nobody is
    known to have had it, so there is nothing to take back."""

    token: Token
    key: bytes  # of the device's row: the address may be sealed for it
    holder: TokenHolder
    is_new: bool


def token_of(key: bytes) -> Token:
    """The token of a row's key. Raises ValueError."""
    head, digest = key[:-TOKEN_HASH_BYTES], key[-TOKEN_HASH_BYTES:]
    app, platform, nothing = head.decode().split("\0")
    if nothing:
        raise ValueError("a key of push.token.owner.v1 is app NUL platform NUL hash")
    return Token(app, platform, digest)


def registration_of(user: str, app: str, device: str, at: int) -> Registration:
    """Of a record's columns: an empty user is nobody."""
    return Registration(at, device_row_key(user, app, device) if user else NOBODY)


def user_and_device(key: bytes) -> tuple[str, str]:
    """Of a row's key; twice empty for NOBODY."""
    if not key:
        return "", ""
    user, _, device = split_device_row_key(key)
    return user, device
