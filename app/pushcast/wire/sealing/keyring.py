"""The keyring file: keys that seal tokens, each wrapped by one key outside of it. Pure: bytes in, keys out.

A role's file holds only its part. One key is `seal`, the others are `open`; none seals in a file of a sender.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushcast.model.errors import ConfigurationError
from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.sealing.seals import KEY_BYTES, NONCE_BYTES, OVERHEAD_BYTES, TokenKeys

VERSION: Final = 1
HASH_KEY: Final = "hash_key"
WRAPPED_BYTES: Final = KEY_BYTES + OVERHEAD_BYTES
_LABEL: Final = b"pushcast/key/1\0"
KeyId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class KeyState(StrEnum):
    """What a key is for. Both open."""

    SEAL = "seal"
    OPEN = "open"


class KeyringRole(StrEnum):
    """Whose part of the keyring it is."""

    REGISTRAR = "registrar"  # seals, opens, hashes, and opens what producers sealed
    SENDER = "sender"  # opens
    PRODUCER = "producer"  # seals for REGISTER


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`wrapped`: base64 of the key under the outer one. Times are RFC 3339. `empty_since`: when `seal
    retire` first found no row under it."""

    id: KeyId
    state: KeyState
    wrapped: str
    created_at: str
    empty_since: str | None = None


class IntakeKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key pair that producers seal for (X25519). `public`: base64; `wrapped_private`: as `Key.wrapped`."""

    id: KeyId
    public: str
    wrapped_private: str | None = None


class Keyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The file. `wrapped_by` names the outer key: `file:` and a path. `hash_key`: wrapped, set once."""

    wrapped_by: str
    version: int = 0
    hash_key: str | None = None
    keys: tuple[Key, ...] = ()
    intake: tuple[IntakeKey, ...] = ()

    def key(self, key_id: str) -> Key | None:
        """The key of this id."""
        return next((key for key in self.keys if key.id == key_id), None)


def decode_keyring(value: bytes) -> Keyring:
    """Raises ConfigurationError that names the field, never a key."""
    try:
        ring = _DECODER.decode(value)
    except UNREADABLE as error:
        refusal = from_msgspec(error)
        raise ConfigurationError(f"keyring: {refusal}") from None
    if ring.version != VERSION:
        raise ConfigurationError(f"keyring: version is {ring.version}, this release knows {VERSION}")
    if not ring.wrapped_by.startswith("file:"):
        raise ConfigurationError("keyring: wrapped_by is none of: file:PATH")
    for what, ids in (("keys", [key.id for key in ring.keys]), ("intake", [key.id for key in ring.intake])):
        if len(set(ids)) < len(ids):
            raise ConfigurationError(f"keyring: {what} has an id twice")
    return ring


def encode_keyring(ring: Keyring) -> bytes:
    """The file, indented, with a line end."""
    return msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n"


def part_of(ring: Keyring, role: KeyringRole) -> Keyring:
    """What a role's own file holds: nothing that it does not need."""
    if role is KeyringRole.REGISTRAR:
        return ring
    if role is KeyringRole.SENDER:
        opening = tuple(msgspec.structs.replace(key, state=KeyState.OPEN) for key in ring.keys)
        return Keyring(ring.wrapped_by, ring.version, keys=opening)
    public = tuple(msgspec.structs.replace(key, wrapped_private=None) for key in ring.intake)
    return Keyring(ring.wrapped_by, ring.version, intake=public)


def unlocked(ring: Keyring, outer: bytes, role: KeyringRole) -> TokenKeys:
    """The keys of a process of this role. Raises ConfigurationError: a key that does not open, none that seals."""
    keys = {key.id: unwrap(key.wrapped, outer, key.id) for key in ring.keys}
    if not keys:
        raise ConfigurationError("keyring: there are no keys")
    if role is not KeyringRole.REGISTRAR:
        return TokenKeys(keys, None)
    sealing = [key.id for key in ring.keys if key.state is KeyState.SEAL]
    if len(sealing) != 1:
        raise ConfigurationError(f"keyring: {len(sealing)} keys have the state seal, a registrar needs one")
    if ring.hash_key is None:
        raise ConfigurationError("keyring: hash_key is missing, a registrar needs it")
    intake = {key.id: unwrap(key.wrapped_private, outer, key.id) for key in ring.intake if key.wrapped_private}
    return TokenKeys(keys, sealing[0], unwrap(ring.hash_key, outer, HASH_KEY), intake)


def wrap(key: bytes, outer: bytes, name: str, nonce: bytes) -> str:
    """A key under the outer key, bound to its name. `nonce`: 12 random bytes."""
    return b64encode(nonce + AESGCM(outer).encrypt(nonce, key, _LABEL + name.encode())).decode()


def unwrap(wrapped: str, outer: bytes, name: str) -> bytes:
    """Raises ConfigurationError that names the key."""
    try:
        sealed = b64decode(wrapped, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"keyring: {name} is not base64") from None
    if len(sealed) != WRAPPED_BYTES:
        raise ConfigurationError(f"keyring: {name} has {len(sealed)} bytes, a wrapped key has {WRAPPED_BYTES}")
    try:
        return AESGCM(outer).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _LABEL + name.encode())
    except InvalidTag:
        raise ConfigurationError(f"keyring: {name} does not open with the key that wrapped_by names") from None


_DECODER: Final = msgspec.json.Decoder(Keyring)
