"""Addresses of devices as clients hand them out, into the one form in which they are stored and hashed.

What is refused is never quoted: a token is a secret, and so is a subscription.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, urlsafe_b64encode
from typing import Final
from urllib.parse import urlsplit

import msgspec
import orjson

from pushcast.model.device import EXPO_TOKEN, MAX_TOKEN_CHARS, AddressKind
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Platform, Reason
from pushcast.wire.devices.content_keys import RawContentKey

MAX_ENDPOINT_CHARS: Final = 2048
#: Apple does not fix the length of a token; none has been shorter.
MIN_APNS_TOKEN_BYTES: Final = 32
POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16
_UNCOMPRESSED: Final = 4  # first byte of a point, SEC 1
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_FROM_URL_ALPHABET: Final = str.maketrans("-_", "+/")
_WANTED: Final = {
    Platform.APNS: ("token",),
    Platform.FCM: ("token", "fid"),
    Platform.EXPO: ("token",),
    Platform.WEBPUSH: ("subscription",),
}


class Keys(msgspec.Struct):
    """`keys` of `PushSubscription.toJSON()`. The object is the browser's: members that it gains are no mistake."""

    p256dh: str
    auth: str


class SubscriptionAddress(msgspec.Struct):
    """What `PushSubscription.toJSON()` gives, `expirationTime` and all, or the same with the keys beside `endpoint`."""

    endpoint: str
    keys: Keys | None = None
    p256dh: str | None = None
    auth: str | None = None


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """One of the forms in which a client hands out an address, and the key for its contents."""

    token: str | None = None
    fid: str | None = None
    subscription: SubscriptionAddress | None = None
    content_key: RawContentKey | None = None


def canonical_address(
    platform: Platform, token: str | None, fid: str | None, subscription: SubscriptionAddress | None
) -> tuple[AddressKind, bytes]:
    """Kind and bytes to store: equal for every spelling of one APNs token or one subscription.

    Raises InvalidInput (invalid_field) that names the field.
    """
    wanted = _WANTED[platform]
    given = (token is not None) + (fid is not None) + (subscription is not None)
    field = "token" if token is not None else "fid" if fid is not None else "subscription"
    if given != 1 or field not in wanted:
        raise _refused(f"{platform} needs exactly one of: {' or '.join(wanted)}", "token")
    if subscription is not None:
        return AddressKind.SUBSCRIPTION, _subscription(subscription)
    text = token or fid
    if not text:
        raise _refused(f"{field} is empty", field)
    if len(text) > MAX_TOKEN_CHARS:
        raise _refused(f"{field} has {len(text)} characters; at most {MAX_TOKEN_CHARS}", field)
    if platform is Platform.APNS:
        text = _apns_hex(text)
    elif platform is Platform.EXPO:
        if EXPO_TOKEN.fullmatch(text.encode(errors="surrogatepass")) is None:
            raise _refused("token for expo must be ExponentPushToken[…], ExpoPushToken[…] or a UUID", field)
    elif not text.isascii() or not text.isprintable() or " " in text:
        raise _refused(f"{field} for fcm must be printable ASCII without spaces", field)
    return (AddressKind.FID if field == "fid" else AddressKind.TOKEN), text.encode()


def _apns_hex(token: str) -> str:
    """Lower-case hex of a token in hex or base64, so that both spellings are one token with one hash."""
    if len(token) >= 2 * MIN_APNS_TOKEN_BYTES and _is_hex(token):
        return token.lower()
    decoded = _base64_bytes(token)
    if decoded is None or len(decoded) < MIN_APNS_TOKEN_BYTES:
        raise _refused(
            f"token for apns must be at least {MIN_APNS_TOKEN_BYTES} bytes: an even number of hex digits, or base64",
            "token",
        )
    return decoded.hex()


def _is_hex(text: str) -> bool:
    try:
        return 2 * len(bytes.fromhex(text)) == len(text)  # white space is skipped, and missed here
    except ValueError:
        return False


def _subscription(raw: SubscriptionAddress) -> bytes:
    if not raw.endpoint.startswith("https://") or len(raw.endpoint) > MAX_ENDPOINT_CHARS:
        raise _refused(
            f"subscription.endpoint must be an https URL of at most {MAX_ENDPOINT_CHARS} characters",
            "subscription.endpoint",
        )
    point, auth, place = raw.p256dh, raw.auth, "subscription"
    if raw.keys is not None:
        if point is not None or auth is not None:
            raise _refused("subscription has its keys in `keys` and beside it; one of the two", "subscription.keys")
        point, auth, place = raw.keys.p256dh, raw.keys.auth, "subscription.keys"
    key = _base64_bytes(point or "")
    if key is None or len(key) != POINT_BYTES or key[0] != _UNCOMPRESSED:
        raise _refused(f"{place}.p256dh must be a point of {POINT_BYTES} bytes in base64url", f"{place}.p256dh")
    secret = _base64_bytes(auth or "")
    if secret is None or len(secret) != AUTH_BYTES:
        raise _refused(f"{place}.auth must be {AUTH_BYTES} bytes in base64url", f"{place}.auth")
    return orjson.dumps({"endpoint": raw.endpoint, "p256dh": _base64url(key), "auth": _base64url(secret)})


def host_of(address: bytes) -> str | None:
    """The push service of a stored subscription, in lower case; None for an address that is none."""
    try:
        return urlsplit(str(orjson.loads(address)["endpoint"])).hostname
    except (ValueError, KeyError, TypeError):
        return None


def _base64_bytes(text: str) -> bytes | None:
    """Of either alphabet, padded or not; None when it is no base64."""
    if _BASE64.fullmatch(text) is None:
        return None
    text = text.rstrip("=").translate(_FROM_URL_ALPHABET)
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(text: str, field: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_FIELD, text, field)
