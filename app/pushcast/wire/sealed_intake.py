"""Addresses that a producer sealed before Kafka: HPKE (RFC 9180), base mode, for REGISTER's key pair. Pure.

`"sealed": {"key": "i1", "box": base64}` in place of `token`, `fid` or `subscription`. The box is bound to the device it
was made for, as stored seals are, and adds 48 bytes.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.seals import KeyUnknown, Place

OVERHEAD_BYTES: Final = 48
MAX_BOX_CHARS: Final = 8192
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_LABEL: Final = b"pushcast/intake/1\0"


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The member `sealed` of a device change."""

    key: str
    box: str


def seal_for_intake(address: bytes, place: Place, key_id: str, public_key: bytes) -> Sealed:
    """What a producer writes instead of the address. `public_key`: 32 bytes. About 54 µs."""
    box = _SUITE.encrypt(address, X25519PublicKey.from_public_bytes(public_key), info=_LABEL + place.associated())
    return Sealed(key_id, b64encode(box).decode())


def open_from_intake(sealed: Sealed, place: Place, keys: Mapping[str, X25519PrivateKey]) -> bytes:
    """The address. About 35 µs.

    Raises KeyUnknown (the registrar's file is older than the producer's), InvalidInput (invalid_field `sealed.box`).
    """
    key = keys.get(sealed.key)
    if key is None:
        raise KeyUnknown(f"this process does not hold the intake key {sealed.key}")
    if len(sealed.box) > MAX_BOX_CHARS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"sealed.box has {len(sealed.box)} characters, at most {MAX_BOX_CHARS}", "sealed.box"
        )
    try:
        return _SUITE.decrypt(b64decode(sealed.box, validate=True), key, info=_LABEL + place.associated())
    except (InvalidTag, ValueError, binascii.Error):
        raise InvalidInput(
            Reason.INVALID_FIELD, f"sealed.box was not sealed for this device with the key {sealed.key}", "sealed.box"
        ) from None
