"""How REGISTER keeps a token: as it came, or sealed. Pure but for the nonce, which is handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from pushcast.model.device import DeviceRow
from pushcast.model.ids import token_hash
from pushcast.wire.seals import NONCE_BYTES, Place, TokenKeys


class Stored(NamedTuple):
    """What stands in the row. `hash_before`: what the same token was called before it was sealed; None: it has no
    other name."""

    address: bytes
    key_id: str
    token_hash: bytes
    hash_before: bytes | None = None


class Tokens(Protocol):
    """Of one registrar."""

    @property
    def sealing(self) -> str | None:
        """The key that rows are to be under; None: addresses are kept as they came."""
        ...

    def stored(self, address: bytes, place: Place, row: DeviceRow | None) -> Stored:
        """How to keep an address. A row's own bytes are kept when they are the same token, as it would be kept now."""
        ...

    def opened(self, row: DeviceRow, place: Place) -> bytes:
        """The address of a row. Raises KeyUnknown, SealBroken."""
        ...

    def names(self, address: bytes) -> tuple[bytes, ...]:
        """The hashes that a row with this address may have."""
        ...


class PlainTokens:
    """Without a keyring."""

    sealing = None

    def stored(self, address: bytes, place: Place, row: DeviceRow | None) -> Stored:
        digest = token_hash(address)
        before = row.token_hash_before if row is not None and row.token_hash == digest else None
        return Stored(address, "", digest, before)

    def opened(self, row: DeviceRow, place: Place) -> bytes:
        return row.address

    def names(self, address: bytes) -> tuple[bytes, ...]:
        return (token_hash(address),)


PLAIN = PlainTokens()


class SealedTokens:
    """With one. `keys` is asked each time: the file may have changed. `random` makes nonces."""

    def __init__(self, keys: Callable[[], TokenKeys], random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random

    @property
    def sealing(self) -> str | None:
        return self._keys().sealing

    def stored(self, address: bytes, place: Place, row: DeviceRow | None) -> Stored:
        keys = self._keys()
        digest, before = keys.hash(address), None
        if row is not None:
            if row.token_hash == digest:
                before = row.token_hash_before
                if row.key_id == keys.sealing:
                    return Stored(row.address, row.key_id, digest, before)
            elif row.token_hash == token_hash(address):
                before = row.token_hash
        key_id, sealed = keys.seal(address, place, self._random(NONCE_BYTES))
        return Stored(sealed, key_id, digest, before)

    def opened(self, row: DeviceRow, place: Place) -> bytes:
        return self._keys().open(row.key_id, row.address, place)

    def names(self, address: bytes) -> tuple[bytes, ...]:
        return self._keys().hash(address), token_hash(address)
