"""Addresses of devices under a key: AES-256-GCM, bound to the row or target they belong to. Pure.

Sealed bytes are nonce, ciphertext and tag. Who can write to Kafka cannot move them to another row: app, platform, kind,
user and device are the associated data. The hash of an address is keyed as well, so that nobody without the key can
test whether a token is in a log. A key that is not there, or bytes that do not open, say nothing about the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushcast.model.errors import PushcastError
from pushcast.model.ids import TOKEN_HASH_BYTES
from pushcast.model.words import Reason

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
#: What sealing adds: nonce and tag.
OVERHEAD_BYTES: Final = NONCE_BYTES + 16
_LABEL: Final = "pushcast/token/1"
NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})


class KeyUnknown(PushcastError):
    """This process does not hold the key: the work waits for it. Never a verdict on the device."""


class SealBroken(PushcastError):
    """The bytes are not what was sealed for this place: altered, moved, or under another key of that name."""

    reason = str(Reason.SEAL_BROKEN)


class Place(NamedTuple):
    """Whose address it is. The parts hold no NUL: intake refuses it."""

    app: str
    platform: str
    kind: str  # of address (`model.device.AddressKind`)
    user: str
    device: str

    def associated(self) -> bytes:
        """What the seal is bound to."""
        return "\0".join((_LABEL, *self)).encode()


class TokenKeys:
    """What one process seals and opens with. Building one is the dear part: about 2 µs a key.

    `sealing`: the id of the key that seals; None: this process opens only. `hash_key`: None where no hashes are made.
    `intake`: private keys that open what producers sealed.
    """

    def __init__(
        self,
        keys: Mapping[str, bytes],
        sealing: str | None,
        hash_key: bytes | None = None,
        intake: Mapping[str, bytes] = NO_KEYS,
    ) -> None:
        """Raises ValueError for a key of another length, or a `sealing` that is none of `keys`."""
        for name, key in {**keys, **intake, **({} if hash_key is None else {"hash_key": hash_key})}.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {name}: {len(key)} bytes, a key has {KEY_BYTES}")
        if sealing is not None and sealing not in keys:
            raise ValueError(f"the key that seals, {sealing}, is not among the keys")
        self.sealing = sealing
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._hash_key = hash_key
        self.intake = {name: X25519PrivateKey.from_private_bytes(key) for name, key in intake.items()}

    @property
    def ids(self) -> frozenset[str]:
        """Keys that this process opens with."""
        return frozenset(self._ciphers)

    def seal(self, address: bytes, place: Place, nonce: bytes) -> tuple[str, bytes]:
        """Key id and sealed bytes. `nonce`: 12 random bytes, never twice with one key. Raises KeyUnknown."""
        if self.sealing is None:
            raise KeyUnknown("this process holds no key that seals")
        return self.sealing, nonce + self._ciphers[self.sealing].encrypt(nonce, address, place.associated())

    def open(self, key_id: str, sealed: bytes, place: Place) -> bytes:
        """The address. An empty `key_id` names no key: the bytes are the address. Raises KeyUnknown, SealBroken."""
        if not key_id:
            return sealed
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyUnknown(f"this process does not hold key {key_id}")
        if len(sealed) < OVERHEAD_BYTES:
            raise SealBroken(f"{len(sealed)} bytes under key {key_id}, sealing alone adds {OVERHEAD_BYTES}")
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.associated())
        except InvalidTag:
            raise SealBroken(f"not what was sealed with key {key_id} for this device") from None

    def hash(self, address: bytes) -> bytes:
        """16 bytes that stand for a token. Raises KeyUnknown."""
        if self._hash_key is None:
            raise KeyUnknown("this process holds no hash key")
        return blake2b(address, digest_size=TOKEN_HASH_BYTES, key=self._hash_key).digest()
