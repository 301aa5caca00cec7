"""Keys of devices: as apps register them, and as rows and targets carry them.

A row's and a target's bytes are cipher, id, the id of the key that they are sealed under, and the key itself: all that
a sender needs, so that PLAN copies them as they are. Unsealed where there is no keyring, as addresses are.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, NoReturn

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.sealing import CONTENT_KEY_BYTES, MAX_CONTENT_KEY_ID, Cipher, ContentKey
from pushcast.model.words import Platform, Reason
from pushcast.wire.sealing.seals import Place

#: Whose bytes these are among what is sealed for a device.
KIND: Final = "content_key"
_HEAD: Final = struct.Struct(">BIB")  # cipher, id, length of the key id
_CIPHERS: Final = {Cipher.SECRETBOX: 0x31, Cipher.A256GCM: 0x32}  # 0x31 is Zulip's, too
_CIPHER_OF: Final = {number: cipher for cipher, number in _CIPHERS.items()}
#: Elsewhere a push cannot carry a sealed content: Expo rewrites it, and Web Push seals every content by itself.
PLATFORMS: Final = (Platform.APNS, Platform.FCM)


class RawContentKey(msgspec.Struct, forbid_unknown_fields=True):
    """As a registration has it. `key`: base64 of 32 bytes."""

    id: int
    alg: Literal["secretbox", "a256gcm"]
    key: str


class KeptKey(NamedTuple):
    """Of a row or a target. `key_id`: of the key that `body` is sealed under; empty: it is not."""

    id: int
    cipher: Cipher
    key_id: str
    body: bytes


class ContentKeyInvalid(ValueError):
    """Bytes that are no key of a device. Says nothing of the device itself."""


def content_key_of(raw: RawContentKey, platform: Platform) -> ContentKey:
    """Raises InvalidInput (invalid_field); its message never holds the key."""
    if platform not in PLATFORMS:
        _refuse("content_key", f"is not for {platform}: {' and '.join(PLATFORMS)} carry sealed contents")
    if not 0 <= raw.id <= MAX_CONTENT_KEY_ID:
        _refuse("content_key.id", f"is not 0 to {MAX_CONTENT_KEY_ID}")
    try:
        key = base64.b64decode(raw.key, validate=True)
    except (binascii.Error, ValueError):
        _refuse("content_key.key", "is no base64")
    if len(key) != CONTENT_KEY_BYTES:
        _refuse("content_key.key", f"has {len(key)} bytes; a key has {CONTENT_KEY_BYTES}")
    return ContentKey(raw.id, Cipher(raw.alg), key)


def _refuse(field: str, problem: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)


def pack(kept: KeptKey) -> bytes:
    """The bytes of a row's and a target's column."""
    key_id = kept.key_id.encode()
    return _HEAD.pack(_CIPHERS[kept.cipher], kept.id, len(key_id)) + key_id + kept.body


def unpack(value: bytes) -> KeptKey:
    """Raises ContentKeyInvalid."""
    if len(value) < _HEAD.size:
        raise ContentKeyInvalid(f"{len(value)} bytes are no content key")
    number, key_number, length = _HEAD.unpack_from(value)
    cipher, end = _CIPHER_OF.get(number), _HEAD.size + length
    if cipher is None or end > len(value):
        raise ContentKeyInvalid("a content key of an unknown cipher, or one that is cut off")
    return KeptKey(key_number, cipher, value[_HEAD.size : end].decode("utf-8", "replace"), value[end:])


def sealed_under(value: bytes) -> str:
    """The id of the key that a row's bytes are sealed under; empty: they are not, or nobody can say."""
    try:
        return unpack(value).key_id
    except ContentKeyInvalid:
        return ""


def opened(value: bytes, place: Place, open_: Callable[[str, bytes, Place], bytes]) -> ContentKey:
    """The key in a row's or target's column. `place`: of the device's address. `open_`: `TokenKeys.open`.

    Raises ContentKeyInvalid, and what `open_` raises.
    """
    kept = unpack(value)
    key = open_(kept.key_id, kept.body, place._replace(kind=KIND))
    if len(key) != CONTENT_KEY_BYTES:
        raise ContentKeyInvalid(f"a content key of {len(key)} bytes; it has {CONTENT_KEY_BYTES}")
    return ContentKey(kept.id, kept.cipher, key)
