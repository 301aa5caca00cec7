"""A content sealed for one device: what a push carries, and how its app opens it. Pure but for the nonce.

The box is nonce, ciphertext and tag: 24 bytes of nonce for `secretbox`, 12 for `a256gcm`, 16 bytes of tag. It holds a
JSON object.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushcast.model.notification import Content
from pushcast.model.sealing import Cipher, ContentKey
from pushcast.model.words import Platform

SECRETBOX_NONCE_BYTES: Final = 24
GCM_NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
#: Of what APNs and FCM show an app: the id of its key, and the box in base64.
ID, BOX = "k", "c"


def plaintext_of(content: Content, note_id: str, klass: str, created_at: int) -> bytes:
    """JSON: the fields of the content that it has, with `id`, `class` and `created_at` (milliseconds since the epoch).
    Texts are those of the device's language; what the provider's own message would have been is not in it."""
    fields: dict[str, Any] = msgspec.to_builtins(content)
    for name in ("platforms", "tracked"):
        fields.pop(name, None)
    return orjson.dumps({**fields, "id": note_id, "class": klass, "created_at": created_at})


def sealed(plaintext: bytes, key: ContentKey, random: Callable[[int], bytes]) -> bytes:
    """The box. `random`: so many bytes for a nonce, never twice with one key."""
    if key.cipher is Cipher.A256GCM:
        nonce = random(GCM_NONCE_BYTES)
        return nonce + AESGCM(key.key).encrypt(nonce, plaintext, None)
    from nacl.secret import SecretBox  # loads libsodium, which few processes need

    return bytes(SecretBox(key.key).encrypt(plaintext, random(SECRETBOX_NONCE_BYTES)))


def seen_of(platform: Platform, title: str | None, key_id: int, box: bytes) -> Content:
    """All that the provider gets. `title` None: nothing is shown.

    On Android the app shows what it has opened: beside a notification of FCM's own it would not be asked.
    """
    data = {ID: str(key_id) if platform is Platform.FCM else key_id, BOX: base64.b64encode(box).decode()}
    if title is None or platform is not Platform.FCM:
        return Content(title, None, data)
    alert = {"apns": {"payload": {"aps": {"alert": {"title": title}}}}}  # of iOS devices behind FCM
    return Content(None, None, data, platforms={str(platform): alert})
