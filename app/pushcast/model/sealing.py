"""`privacy: sealed`: a content that only the device reads, and the key of a device that it is sealed under."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

#: What a device without a key gets: word that there is something, nothing, or the content.
Fallback = Literal["ping", "skip", "plain"]
#: Zulip's and ours: an unsigned number of 32 bits.
MAX_CONTENT_KEY_ID: Final = 2**32 - 1
CONTENT_KEY_BYTES: Final = 32


class Sealing(msgspec.Struct, frozen=True):
    """Of a message: the title that its provider sees, and what becomes of devices without a key."""

    title: str
    fallback: Fallback = "ping"


class Cipher(StrEnum):
    """How contents are sealed under a device's key."""

    SECRETBOX = "secretbox"  # libsodium's: XSalsa20 and Poly1305
    A256GCM = "a256gcm"  # AES-256-GCM


class ContentKey(NamedTuple):
    """A key that a device has chosen. `id`: what it knows the key by, in each push."""

    id: int
    cipher: Cipher
    key: bytes

    def __repr__(self) -> str:
        return f"ContentKey({self.id}, {self.cipher})"
