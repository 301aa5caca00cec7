"""Device changes from JSON and Avro, and the rows of the devices table."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Any

import msgspec
import orjson

from pushcast.model.device import MAX_TOKEN_CHARS, AddressKind, DeviceChange, DeviceRow, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Platform, Reason
from pushcast.wire.json_errors import from_msgspec
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.times import to_ms

_HEX = frozenset("0123456789abcdef")
MAX_TOPICS = 200
MAX_ENDPOINT_CHARS = 2048


class _Subscription(msgspec.Struct, forbid_unknown_fields=True):
    endpoint: str
    p256dh: str
    auth: str


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    op: Operation
    user: str | None = None
    app: str | None = None
    device: str | None = None
    platform: Platform | None = None
    token: str | None = None
    fid: str | None = None
    subscription: _Subscription | None = None
    locale: str | None = None
    time_zone: str | None = None
    app_version: str | None = None
    topics: list[str] | None = None
    at: int | str | None = None


class DeviceChangeDecoder:
    """Decodes `push.device.changed.v1` for one set of app names."""

    def __init__(self, apps: Collection[str], schemas: SchemaSource | None = None) -> None:
        self._apps = frozenset(apps)
        self._schemas = schemas
        self._json = msgspec.json.Decoder(_Raw).decode
        self._avro = avro_type("device_change")

    def decode(self, user: str, value: bytes | None, timestamp_ms: int) -> DeviceChange:
        """`user` is the record key's. Raises InvalidInput with the reason; its message never holds a token."""
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing; write op forget_user")
        try:
            if value[:1] == b"{" or value[:1] in b" \t\r\n":
                raw = self._json(value)
            else:
                raw = msgspec.convert(self._avro.decode(value, self._schemas), _Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise from_msgspec(error) from error
        return self._validate(raw, user, timestamp_ms)

    def _validate(self, raw: _Raw, user: str, timestamp_ms: int) -> DeviceChange:
        if raw.user is not None and raw.user != user:
            raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
        at = to_ms(raw.at, "at", timestamp_ms)
        if raw.op is Operation.FORGET_USER:
            return DeviceChange(raw.op, user, "", "", None, AddressKind.TOKEN, None, at)
        if raw.app is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{raw.op} needs app", "app")
        if raw.app not in self._apps:
            raise InvalidInput(Reason.UNKNOWN_APP, f"app {raw.app[:64]!r} is not configured", "app")
        if raw.device is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{raw.op} needs device", "device")
        check_id(raw.device, "device")
        if raw.op is Operation.UNREGISTER:
            return DeviceChange(raw.op, user, raw.app, raw.device, raw.platform, AddressKind.TOKEN, None, at)
        if raw.platform is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{raw.op} needs platform", "platform")
        kind, address = _address(raw, raw.platform)
        topics = raw.topics
        if topics is not None and len(topics) > MAX_TOPICS:
            raise InvalidInput(
                Reason.INVALID_FIELD, f"topics has {len(topics)} entries; at most {MAX_TOPICS}", "topics"
            )
        return DeviceChange(
            raw.op,
            user,
            raw.app,
            raw.device,
            raw.platform,
            kind,
            address,
            at,
            raw.locale,
            raw.time_zone,
            raw.app_version,
            None if topics is None else tuple(topics),
        )


def _address(raw: _Raw, platform: Platform) -> tuple[AddressKind, bytes]:
    given = [name for name in ("token", "fid", "subscription") if getattr(raw, name) is not None]
    wanted = "subscription" if platform is Platform.WEBPUSH else "token or fid" if platform is Platform.FCM else "token"
    if len(given) != 1 or given[0] not in wanted:
        raise InvalidInput(Reason.INVALID_FIELD, f"{platform} needs exactly one of: {wanted}", "token")
    if raw.subscription is not None:
        return AddressKind.SUBSCRIPTION, _subscription(raw.subscription)
    field = given[0]
    token: str = raw.token if raw.token is not None else raw.fid or ""
    if not token:
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} is empty", field)
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidInput(
            Reason.INVALID_FIELD, f"{field} has {len(token)} characters; at most {MAX_TOKEN_CHARS}", field
        )
    if platform is Platform.APNS:
        token = token.lower()
        if len(token) % 2 or not _HEX.issuperset(token):
            raise InvalidInput(Reason.INVALID_FIELD, "token for apns must be hex digits, an even number of them", field)
    elif platform is Platform.EXPO:
        wrapped = token.startswith(("ExponentPushToken[", "ExpoPushToken[")) and token.endswith("]")
        bare = len(token) == 36 and token.count("-") == 4
        if not (wrapped or bare):
            raise InvalidInput(
                Reason.INVALID_FIELD, "token for expo must be ExponentPushToken[…], ExpoPushToken[…] or a UUID", field
            )
    elif not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} for fcm must be printable ASCII without spaces", field)
    return (AddressKind.FID if field == "fid" else AddressKind.TOKEN), token.encode()


def _subscription(raw: _Subscription) -> bytes:
    if not raw.endpoint.startswith("https://") or len(raw.endpoint) > MAX_ENDPOINT_CHARS:
        raise InvalidInput(
            Reason.INVALID_FIELD,
            f"subscription.endpoint must be an https URL of at most {MAX_ENDPOINT_CHARS} characters",
            "subscription.endpoint",
        )
    for name, text, size in (("p256dh", raw.p256dh, 65), ("auth", raw.auth, 16)):
        try:
            found = len(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError):
            found = -1
        if found != size:
            raise InvalidInput(
                Reason.INVALID_FIELD, f"subscription.{name} must be {size} bytes in base64url", f"subscription.{name}"
            )
    return orjson.dumps({"endpoint": raw.endpoint, "p256dh": raw.p256dh, "auth": raw.auth})


_ROW = avro_type("device_row")


def encode_row(row: DeviceRow) -> bytes:
    """Value of a row in `push.device.v1`."""
    return _ROW.encode(msgspec.structs.asdict(row))


def decode_row(value: bytes) -> DeviceRow:
    """Raises InvalidInput: only REGISTER writes rows, so that means a foreign writer or a newer release."""
    datum = _ROW.decode(value)
    datum["topics"] = tuple(datum["topics"])
    return DeviceRow(**datum)


def row_columns(value: bytes) -> dict[str, Any]:
    """The row as a plain dict: what the planner's hot path reads."""
    return _ROW.decode(value)
