"""Subscriptions whose keys follow from their ids, and the browser's side of the encryption (RFC 8188, RFC 8291)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_CACHED_KEYS: Final = 10_000
_HEADER_BYTES: Final = 21


class Undecryptable(Exception):
    """The body is not what RFC 8291 makes for this subscription; the message says where it breaks."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """`p256dh` and `auth` are base64url without padding, as `PushSubscription.toJSON()` gives them."""

    endpoint: str
    p256dh: str
    auth: str


def base64url(data: bytes) -> str:
    """Without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class BrowserKeys:
    """A browser's key pair and secret for each subscription id, made from the seed: nothing is stored per subscription.

    The last 10,000 are kept at hand; deriving one costs about 20 µs.
    """

    def __init__(self, seed: int) -> None:
        self._secret = hashlib.sha256(b"webpush %d" % seed).digest()
        self._cache: OrderedDict[bytes, tuple[ec.EllipticCurvePrivateKey, bytes, bytes]] = OrderedDict()

    def of(self, subscription_id: bytes) -> tuple[ec.EllipticCurvePrivateKey, bytes, bytes]:
        """(private key, public key as 65 bytes, authentication secret of 16 bytes)."""
        found = self._cache.get(subscription_id)
        if found is None:
            digest = hmac.digest(self._secret, subscription_id, "sha512")
            private = ec.derive_private_key(int.from_bytes(digest[:40], "big") % (_ORDER - 1) + 1, ec.SECP256R1())
            public = private.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
            found = self._cache[subscription_id] = (private, public, digest[48:])
            if len(self._cache) > _CACHED_KEYS:
                self._cache.popitem(last=False)
        return found

    def decrypt(self, subscription_id: bytes, body: bytes) -> bytes:
        """The plaintext of an `aes128gcm` body of one record. Raises Undecryptable."""
        if len(body) < _HEADER_BYTES + 65 + 17:
            raise Undecryptable("shorter than header, key and one byte")
        salt, record_bytes, key_length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        if key_length != 65 or record_bytes < len(body) - _HEADER_BYTES - key_length:
            raise Undecryptable("key id is not a P-256 point, or more than one record")
        sender_point = body[_HEADER_BYTES : _HEADER_BYTES + 65]
        private, public, secret = self.of(subscription_id)
        try:
            sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender_point)
        except ValueError:
            raise Undecryptable("the sender's key is not on the curve") from None
        shared = private.exchange(ec.ECDH(), sender)
        ikm = _hkdf(secret, shared, b"WebPush: info\0" + public + sender_point, 32)
        key = _hkdf(salt, ikm, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, ikm, b"Content-Encoding: nonce\0", 12)
        try:
            padded = AESGCM(key).decrypt(nonce, body[_HEADER_BYTES + 65 :], None)
        except InvalidTag:
            raise Undecryptable("authentication tag does not fit") from None
        plain = padded.rstrip(b"\0")
        if not plain.endswith(b"\x02"):
            raise Undecryptable("last record does not end with 0x02")
        return plain[:-1]


def _hkdf(salt: bytes, key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 for at most one block of output."""
    return hmac.digest(hmac.digest(salt, key, "sha256"), info + b"\x01", "sha256")[:length]
