"""APNs provider tokens: ES256 JWTs that every process mints alike, so that a team has one at a time.

https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns: a token is
valid for one hour after `iat` and may be renewed once in 20 minutes; APNs answers TooManyProviderTokenUpdates to more.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Final

import orjson
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from pushcast.model.clock import Clock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.credential import WatchedFile

SLOT_SECONDS: Final = 2400
# The shortest time between two tokens of a team that APNs accepts.
MIN_RENEWAL_SECONDS: Final = 1200
# A slot is taken up this late, so that `iat` is in the past for a server whose clock is behind ours.
SKEW_SECONDS: Final = 60
_ECDSA: Final = ec.ECDSA(SHA256(), deterministic_signing=True)  # RFC 6979: same key and claims, same signature

log = structlog.get_logger(__name__)


def slot_of(now_seconds: float, length_seconds: int = SLOT_SECONDS) -> int:
    """`iat` that every process uses at this time: at least SKEW_SECONDS and at most a slot and SKEW_SECONDS ago."""
    return int((now_seconds - SKEW_SECONDS) // length_seconds) * length_seconds


def mint(key: ec.EllipticCurvePrivateKey, key_id: str, team_id: str, issued_at: int) -> bytes:
    """A provider token; equal arguments give equal bytes in every process."""
    signed = b".".join(
        (_b64(orjson.dumps({"alg": "ES256", "kid": key_id})), _b64(orjson.dumps({"iss": team_id, "iat": issued_at})))
    )
    r, s = decode_dss_signature(key.sign(signed, _ECDSA))
    return signed + b"." + _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def load_key(pem: bytes, name: str) -> ec.EllipticCurvePrivateKey:
    """A .p8 key as Apple hands it out. Raises ConfigurationError naming the file, never its content."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"key_file {name}: no unencrypted PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(f"key_file {name}: APNs keys are on the curve P-256")
    return key


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


class ProviderToken:
    """The token of one (team, key, environment), minted when first needed and once per slot.

    The key file is read again within seconds of its change; a file that cannot be read or parsed then leaves the old
    key in force and is reported once in the log. Raises ConfigurationError at construction.
    """

    def __init__(self, key_file: Path, key_id: str, team_id: str, clock: Clock) -> None:
        self._file = WatchedFile(key_file)
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._key = self._load()
        self._issued_at = 0
        self._header = b""
        self.mints = 0

    def _load(self) -> ec.EllipticCurvePrivateKey:
        try:
            pem = self._file.read()
        except OSError as error:
            raise ConfigurationError(f"key_file {self._file.path}: {error.strerror}") from error
        return load_key(pem, str(self._file.path))

    def current(self) -> bytes:
        now = self._clock.now_ms() / 1000
        if self._file.changed(self._clock.monotonic_seconds()):
            self._reload()
        slot = slot_of(now)
        # Not back to an older token after a small step of the clock: that would be one more update.
        if not self._header or slot > self._issued_at or self._issued_at > now:
            self._use(slot)
        return self._header

    async def header(self) -> bytes:
        return self.current()

    async def refresh(self, refused: bytes) -> None:
        """Moves on by half a slot where at least 20 minutes have passed; all processes come to the same token."""
        if refused != self._header:
            return
        half = slot_of(self._clock.now_ms() / 1000, MIN_RENEWAL_SECONDS)
        if half - self._issued_at >= MIN_RENEWAL_SECONDS:
            self._use(half)

    async def close(self) -> None:
        """Nothing runs in the background."""

    def _use(self, issued_at: int) -> None:
        self._issued_at = issued_at
        self._header = b"bearer " + mint(self._key, self._key_id, self._team_id, issued_at)
        self.mints += 1

    def _reload(self) -> None:
        try:
            self._key = self._load()
        except ConfigurationError as error:
            log.warning("apns_key_not_reloaded", problem=str(error))
            return
        self._header = b""


def end_of(content: bytes) -> float | None:
    """When the first certificate of a PEM file ends, seconds since the epoch; None where there is none to read."""
    try:
        return load_pem_x509_certificate(content).not_valid_after_utc.timestamp()
    except ValueError:
        return None


class ClientCertificate:
    """Certificate authentication: TLS tells who we are, no header does.

    A changed file is loaded into the TLS context within seconds, for the connections that follow; one that cannot be
    loaded leaves the old certificate in force and is reported in the log.
    """

    def __init__(self, certificate_file: Path, tls: SSLContext, clock: Clock) -> None:
        self._file = WatchedFile(certificate_file)
        self._tls = tls
        self._clock = clock
        try:
            self.expires_at_seconds = end_of(self._file.read())
        except OSError as error:
            raise ConfigurationError(f"certificate_file {certificate_file}: {error.strerror}") from error

    def current(self) -> bytes:
        if self._file.changed(self._clock.monotonic_seconds()):
            try:
                content = self._file.read()
                # Elsewhere first: a context forgets its old key as soon as it has read another certificate, and keeps
                # that without a key when the file has none of it. No server takes its connections then.
                for tls in (SSLContext(PROTOCOL_TLS_CLIENT), self._tls):
                    # An empty password: an encrypted key is refused instead of asked for on the terminal.
                    tls.load_cert_chain(self._file.path, password="")
                self.expires_at_seconds = end_of(content)
            except OSError as error:  # SSLError is one
                log.warning("apns_certificate_not_reloaded", problem=str(error), file=str(self._file.path))
        return b""

    async def header(self) -> bytes:
        return self.current()

    async def refresh(self, refused: bytes) -> None:
        """Nothing to renew but the file, which `current` watches."""

    async def close(self) -> None:
        """Nothing runs in the background."""
