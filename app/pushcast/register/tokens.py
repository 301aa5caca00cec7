"""How REGISTER keeps a token: as it came, or sealed. Pure but for the nonce, which is handed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import msgspec

from pushcast.model.device import DeviceRow
from pushcast.model.ids import token_hash
from pushcast.model.sealing import ContentKey
from pushcast.wire.devices.content_keys import KIND, ContentKeyInvalid, KeptKey, opened, pack, sealed_under
from pushcast.wire.sealing.seals import NONCE_BYTES, KeyUnknown, Place, SealBroken, TokenKeys


class Stored(msgspec.Struct, frozen=True, gc=False):
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

    @property
    def ring(self) -> object:
        """Another one whenever the keyring was read anew."""
        ...

    def stored(self, address: bytes, place: Place, row: DeviceRow | None) -> Stored:
        """How to keep an address. A row's own bytes are kept when they are the same token, as it would be kept now."""
        ...

    def opened(self, row: DeviceRow, place: Place) -> bytes:
        """The address of a row. Raises KeyUnknown, SealBroken."""
        ...

    def content_key(self, key: ContentKey, place: Place, row: DeviceRow | None) -> bytes:
        """How to keep a device's key for its contents. `place`: of its address. A row's own bytes are kept when they
        are the same key, as it would be kept now."""
        ...

    def content_key_anew(self, kept: bytes, place: Place) -> bytes:
        """The same key as it would be kept now. Raises KeyUnknown, SealBroken, ContentKeyInvalid."""
        ...

    def content_key_moved(self, kept: bytes, before: Place, place: Place) -> bytes | None:
        """A row's key for contents at the device's new place; None: it cannot be opened at the place before."""
        ...

    def names(self, address: bytes) -> tuple[bytes, ...]:
        """The hashes that a row with this address may have."""
        ...


class PlainTokens:
    """Without a keyring."""

    sealing = None
    ring = None

    def stored(self, address: bytes, place: Place, row: DeviceRow | None) -> Stored:
        digest = token_hash(address)
        before = row.token_hash_before if row is not None and row.token_hash == digest else None
        return Stored(address, "", digest, before)

    def opened(self, row: DeviceRow, place: Place) -> bytes:
        return row.address

    def content_key(self, key: ContentKey, place: Place, row: DeviceRow | None) -> bytes:
        return pack(KeptKey(key.id, key.cipher, "", key.key))

    def content_key_anew(self, kept: bytes, place: Place) -> bytes:
        return kept

    def content_key_moved(self, kept: bytes, before: Place, place: Place) -> bytes | None:
        return kept

    def names(self, address: bytes) -> tuple[bytes, ...]:
        return (token_hash(address),)


PLAIN = PlainTokens()


class SealedTokens:
    """With one. `keys` is asked each time: the file may have changed. `random` makes nonces."""

    def __init__(self, keys: Callable[[], TokenKeys], random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random
        self.seals: Counter[str] = Counter()  # made since the start, by key

    @property
    def sealing(self) -> str | None:
        return self._keys().sealing

    @property
    def ring(self) -> object:
        return self._keys()

    def stored(self, address: bytes, place: Place, row: DeviceRow | None) -> Stored:
        keys = self._keys()
        digest, before = keys.hash(address), None
        if row is not None:
            if row.token_hash == digest:
                before = row.token_hash_before
                # Another platform or kind is another place: the row's bytes would never open there.
                if (row.key_id, row.platform, row.kind) == (keys.sealing, place.platform, place.kind):
                    return Stored(row.address, row.key_id, digest, before)
            elif row.token_hash == token_hash(address):
                before = row.token_hash
        key_id, sealed = keys.seal(address, place, self._random(NONCE_BYTES))
        self.seals[key_id] += 1
        return Stored(sealed, key_id, digest, before)

    def opened(self, row: DeviceRow, place: Place) -> bytes:
        return self._keys().open(row.key_id, row.address, place)

    def content_key(self, key: ContentKey, place: Place, row: DeviceRow | None) -> bytes:
        keys = self._keys()
        if row is not None and row.content_key is not None and sealed_under(row.content_key) == keys.sealing:
            try:
                if opened(row.content_key, place, keys.open) == key:
                    return row.content_key
            except (KeyUnknown, SealBroken, ContentKeyInvalid):
                pass  # the device says it anew, and so it is kept anew
        key_id, body = keys.seal(key.key, place._replace(kind=KIND), self._random(NONCE_BYTES))
        self.seals[key_id] += 1
        return pack(KeptKey(key.id, key.cipher, key_id, body))

    def content_key_anew(self, kept: bytes, place: Place) -> bytes:
        keys = self._keys()
        if sealed_under(kept) == keys.sealing:
            return kept
        return self.content_key(opened(kept, place, keys.open), place, None)

    def content_key_moved(self, kept: bytes, before: Place, place: Place) -> bytes | None:
        try:
            return self.content_key(opened(kept, before, self._keys().open), place, None)
        except (KeyUnknown, SealBroken, ContentKeyInvalid):
            return None  # nobody could open it at its new place either: the device says it anew

    def names(self, address: bytes) -> tuple[bytes, ...]:
        return self._keys().hash(address), token_hash(address)
