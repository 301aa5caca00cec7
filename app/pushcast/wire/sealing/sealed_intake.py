"""Addresses that a producer sealed before Kafka: HPKE (RFC 9180), base mode, for REGISTER's key pair. Pure.

`"sealed": {"key": "i1", "box": base64}` in place of `token`, `fid` or `subscription`: the box holds a JSON object with
one of them, and with the device's `content_key` where it has one. It is bound to the device it was made for, as stored
seals are, and adds 48 bytes.
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
from pushcast.wire.devices.addresses import Given
from pushcast.wire.json_errors import UNREADABLE
from pushcast.wire.sealing.seals import Place

OVERHEAD_BYTES: Final = 48
MAX_BOX_CHARS: Final = 8192
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_LABEL: Final = b"pushcast/intake/1\0"
MAX_SHOWN_CHARS: Final = 64  # of what an error repeats
_GIVEN: Final = msgspec.json.Decoder(Given)


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The member `sealed` of a device change."""

    key: str
    box: str


def intake_place(app: str, platform: str, user: str, device: str) -> Place:
    """What a box is bound to. Whether it is a token, an installation id or a subscription stands in the box."""
    return Place(app, platform, "intake", user, device)


def seal_for_intake(given: Given, place: Place, key_id: str, public_key: bytes) -> Sealed:
    """What a producer writes instead of the address. `public_key`: 32 bytes. About 54 µs."""
    fields = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}
    public = X25519PublicKey.from_public_bytes(public_key)
    box = _SUITE.encrypt(msgspec.json.encode(fields), public, info=_LABEL + place.associated())
    return Sealed(key_id, b64encode(box).decode())


def open_from_intake(sealed: Sealed, place: Place, keys: Mapping[str, X25519PrivateKey]) -> Given:
    """What the client handed out. About 35 µs.

    Raises InvalidInput: key_unknown (the registrar's file is older than the producer's: redrive the dead letter when it
    is not), invalid_field `sealed.box`. Neither holds anything of the box.
    """
    key = keys.get(sealed.key)
    if key is None:
        shown = sealed.key[:MAX_SHOWN_CHARS]
        raise InvalidInput(Reason.KEY_UNKNOWN, f"this registrar does not hold the intake key {shown!r}", "sealed.key")
    if len(sealed.box) > MAX_BOX_CHARS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"sealed.box has {len(sealed.box)} characters, at most {MAX_BOX_CHARS}", "sealed.box"
        )
    try:
        text = _SUITE.decrypt(b64decode(sealed.box, validate=True), key, info=_LABEL + place.associated())
    except (InvalidTag, ValueError, binascii.Error):
        raise InvalidInput(
            Reason.INVALID_FIELD, f"sealed.box was not sealed for this device with the key {sealed.key}", "sealed.box"
        ) from None
    try:
        return _GIVEN.decode(text)
    except UNREADABLE:  # its text would say what was in the box
        raise InvalidInput(
            Reason.INVALID_FIELD, "sealed.box holds no object with token, fid or subscription", "sealed.box"
        ) from None
