"""A browser's subscription as it stands in the address of a target."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from typing import Final, NamedTuple

import msgspec

# The endpoint comes from a client. Only what this matches is ever dialled, so no other parser's opinion of a host
# matters: no user info, no escapes in the authority, nothing but visible ASCII in the path.
_ENDPOINT: Final = re.compile(r"https://([A-Za-z0-9._:\[\]-]{1,261})(/[!-\"$-~]*)")


class _Raw(msgspec.Struct):
    endpoint: str
    p256dh: str
    auth: str


_DECODER: Final = msgspec.json.Decoder(_Raw)


class BrowserSubscription(NamedTuple):
    """`authority`: lower-case host and perhaps port, unchecked. `path` begins with a slash. Keep it out of logs: path
    and secrets are a capability."""

    authority: str
    path: bytes
    receiver_point: bytes  # 65 bytes, not known to be on the curve
    auth_secret: bytes  # 16 bytes


class Malformed(ValueError):
    """The address is no subscription. Holds nothing of it."""


class EndpointForbidden(ValueError):
    """The endpoint is not an https URL of the simple form that push services use. Holds nothing of it."""


def parse(address: bytes) -> BrowserSubscription:
    """Raises Malformed or EndpointForbidden."""
    try:
        raw = _DECODER.decode(address)
        point, secret = _base64url(raw.p256dh), _base64url(raw.auth)
    except (msgspec.DecodeError, RecursionError, Base64Error, ValueError):
        raise Malformed from None
    if len(point) != 65 or point[0] != 4 or len(secret) != 16:
        raise Malformed
    found = _ENDPOINT.fullmatch(raw.endpoint)
    if found is None:
        raise EndpointForbidden
    return BrowserSubscription(found[1].lower(), found[2].encode(), point, secret)


def _base64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
