"""Devices whose user has not signed in: each is a user of its own, `device:<id>`, and proves itself by a secret.

The secret is an HMAC over app and device, so that every gateway process knows it and none keeps it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

from pushcast.gateway.problems import Problem
from pushcast.model.errors import ConfigurationError

DEVICE_HEADER: Final = "Pushcast-Device"
SECRET_HEADER: Final = "Pushcast-Device-Secret"  # noqa: S105 - a header's name
PREFIX: Final = "device:"
MIN_KEY_BYTES: Final = 32
#: Devices whose first registration this process has seen: the table of devices is a little behind.
MAX_REMEMBERED: Final = 100_000
#: What a request's path says besides: that a device asks without a user, and whether it has shown its secret.
ANONYMOUS: Final = "anonymous"
PROVEN: Final = "proven"
UNPROVEN: Final = "unproven"


class AnonymousDevices:
    """`key` None: none are taken."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._registered: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()

    @property
    def taken(self) -> bool:
        """Whether there are any."""
        return self._key is not None

    def secret_of(self, app: str, device: str) -> str:
        """What the device is told once."""
        assert self._key is not None
        signed = hmac.digest(self._key, f"{app}\0{device}".encode(errors="surrogatepass"), "sha256")
        return urlsafe_b64encode(signed).decode().rstrip("=")

    def identify(self, app: str, device: str | None, secret: str | None) -> Mapping[str, str]:
        """What follows from who asks, as of a token. Raises Problem for a secret that is not this device's."""
        if not device:
            raise Problem("bad_request", f"send the header {DEVICE_HEADER}, or a token of the user")
        who = {"app": app, "user": PREFIX + device, "device": device}
        if secret is None:
            return {**who, ANONYMOUS: UNPROVEN}
        # Bytes that are no UTF-8 come as half surrogates: they are a wrong secret, and no fault of ours.
        if not hmac.compare_digest(secret.encode(errors="surrogateescape"), self.secret_of(app, device).encode()):
            raise not_yours()
        return {**who, ANONYMOUS: PROVEN}

    def remember(self, app: str, device: str, attempt: str | None) -> None:
        """It is registered, or may be. `attempt`: the Idempotency-Key of the request."""
        self._registered[app, device] = None if attempt is None else _digest(attempt)
        if len(self._registered) > MAX_REMEMBERED:
            self._registered.popitem(last=False)

    def forget(self, app: str, device: str) -> None:
        """It is not registered after all."""
        self._registered.pop((app, device), None)

    def remembers(self, app: str, device: str) -> bool:
        """Whether this process has registered it lately."""
        return (app, device) in self._registered

    def repeats(self, app: str, device: str, attempt: str | None) -> bool:
        """Whether this process has registered it lately for the same client, whose Idempotency-Key nobody else has."""
        known = self._registered.get((app, device))
        return attempt is not None and known is not None and hmac.compare_digest(known, _digest(attempt))


def _digest(attempt: str) -> bytes:
    return blake2b(attempt.encode(), digest_size=16).digest()


def not_yours() -> Problem:
    """One answer for every device that the client has not proved to be its own."""
    return Problem("not_your_device", f"the device is registered; send its secret as {SECRET_HEADER}")


def read_device_key(file: Path | None) -> bytes | None:
    """Raises ConfigurationError."""
    if file is None:
        return None
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"gateway.device_key_file: {file}: {error.strerror}") from None
    if len(key) < MIN_KEY_BYTES:
        raise ConfigurationError(f"gateway.device_key_file: {file} has {len(key)} bytes; at least {MIN_KEY_BYTES}")
    return key
