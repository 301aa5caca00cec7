"""Signatures of Standard Webhooks 1.0 (https://www.standardwebhooks.com). Pure but for `read_secrets`."""

from __future__ import annotations

import binascii
import hmac
import logging
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pushcast.model.errors import ConfigurationError

logger = logging.getLogger(__name__)

PREFIX: Final = "whsec_"
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
#: Secrets that sign at once while one is rotated.
MAX_SECRETS: Final = 3


def headers_of(secrets: Sequence[bytes], request_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """One signature for each secret: the receiver takes the request when it knows one of them."""
    signed = f"{request_id}.{at_seconds}.".encode() + body
    signatures = [b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": request_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def read_secrets(file: Path) -> list[bytes]:
    """Secrets of a file, one a line: `whsec_` and 24 to 64 bytes in base64. Raises ConfigurationError, without them."""
    try:
        lines = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"secret_file {file}: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not 1 <= len(lines) <= MAX_SECRETS:
        raise ConfigurationError(f"secret_file {file}: {len(lines)} secrets; 1 to {MAX_SECRETS}, one a line")
    return [_secret(file, number, line) for number, line in enumerate(lines, 1)]


class SecretsFile:
    """Secrets of a file, read again when it has changed; those of before while it cannot be read."""

    def __init__(self, file: Path) -> None:
        """Raises ConfigurationError."""
        self._file = file
        self._seen = self._state()  # before it is read: what changes in between is read again
        self._secrets = read_secrets(file)

    def now(self) -> list[bytes]:
        """Those that sign."""
        state = self._state()
        if state is not None and state != self._seen:
            self._seen = state
            try:
                self._secrets = read_secrets(self._file)
            except ConfigurationError as error:
                logger.error("the secrets of before go on signing: %s", error)  # noqa: TRY400 - its text says it all
        return self._secrets

    def _state(self) -> tuple[int, int, int, int] | None:
        """Another owner or other permissions, too: a file that could not be read may be readable now."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def _secret(file: Path, number: int, line: str) -> bytes:
    try:
        found = b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not line.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(found) <= MAX_SECRET_BYTES:
        raise ConfigurationError(
            f"secret_file {file}: line {number} is not {PREFIX} and, in base64,"
            f" {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
        )
    return found
