"""VAPID (RFC 8292): a signed token per push service that says who sends."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections import OrderedDict
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pushcast.model.clock import Clock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.credential import WatchedFile

# RFC 8292 §2: at most 24 hours. Half of it leaves room for clocks that differ.
LIFE_SECONDS: Final = 12 * 3600
_RENEW_AFTER_SECONDS: Final = LIFE_SECONDS // 2
# A token refused so soon after it was made is not refused for its age: another would fare no better.
_MIN_RENEWAL_SECONDS: Final = 60
_MAX_AUDIENCES: Final = 4096
_ECDSA: Final = ec.ECDSA(SHA256())
_HEADER: Final = urlsafe_b64encode(b'{"typ":"JWT","alg":"ES256"}').rstrip(b"=")

log = structlog.get_logger(__name__)


def load_key(content: bytes, name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key as PEM, or as the 32 bytes in base64url that web-push tools print. Raises ConfigurationError naming
    the file, never its content."""
    problem = f"vapid_key_file {name}: neither an unencrypted PEM private key nor 32 bytes in base64url"
    try:
        if b"-----BEGIN" in content:
            key = load_pem_private_key(content, password=None)
        else:
            text = content.strip()
            scalar = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
            if len(scalar) != 32:
                raise ConfigurationError(problem)
            key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    except (ValueError, TypeError, Base64Error, UnsupportedAlgorithm) as error:
        raise ConfigurationError(problem) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(f"vapid_key_file {name}: VAPID keys are on the curve P-256")
    return key


def sign(key: ec.EllipticCurvePrivateKey, audience: str, subject: str, expires_at: int) -> bytes:
    """Value of the authorization header. `expires_at` in seconds since the epoch."""
    claims = orjson.dumps({"aud": audience, "exp": expires_at, "sub": subject})
    signed = _HEADER + b"." + _b64(claims)
    r, s = decode_dss_signature(key.sign(signed, _ECDSA))
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    signature = _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return b"vapid t=" + signed + b"." + signature + b", k=" + _b64(point)


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


class _Signed(NamedTuple):
    header: bytes
    signed_at: float  # seconds since the epoch


class Vapid:
    """One app's identity. A header per audience (origin of endpoints), kept for six hours; at most 4,096 are kept.

    The key file is read again within seconds of its change; a file that does not serve leaves the old key in force.
    Subscriptions are bound to the key they were made with: another key needs new subscriptions. Raises
    ConfigurationError at construction.
    """

    def __init__(self, key_file: Path, subject: str, clock: Clock) -> None:
        self._file = WatchedFile(key_file)
        self._subject = subject
        self._clock = clock
        self._key = self._load()
        self._signed: OrderedDict[str, _Signed] = OrderedDict()
        self.signatures = 0

    def _load(self) -> ec.EllipticCurvePrivateKey:
        try:
            content = self._file.read()
        except OSError as error:
            raise ConfigurationError(f"vapid_key_file {self._file.path}: {error.strerror}") from error
        return load_key(content, str(self._file.path))

    def header(self, audience: str) -> bytes:
        """Takes about 50 us when it is not at hand."""
        if self._file.changed(self._clock.monotonic_seconds()):
            self._reload()
        now = self._clock.now_ms() / 1000
        signed = self._signed.get(audience)
        if signed is not None and 0 <= now - signed.signed_at < _RENEW_AFTER_SECONDS:
            self._signed.move_to_end(audience)
            return signed.header
        header = sign(self._key, audience, self._subject, int(now) + LIFE_SECONDS)
        self._signed[audience] = _Signed(header, now)
        self.signatures += 1
        if len(self._signed) > _MAX_AUDIENCES:
            self._signed.popitem(last=False)
        return header

    def refused(self, audience: str, header: bytes) -> bool:
        """The service refused this header: whether `header(audience)` now gives another one."""
        signed = self._signed.get(audience)
        if signed is None or signed.header != header:
            return True
        if self._clock.now_ms() / 1000 - signed.signed_at < _MIN_RENEWAL_SECONDS:
            return False
        del self._signed[audience]
        return True

    def _reload(self) -> None:
        try:
            self._key = self._load()
        except ConfigurationError as error:
            log.warning("vapid_key_not_reloaded", problem=str(error))
            return
        self._signed.clear()
