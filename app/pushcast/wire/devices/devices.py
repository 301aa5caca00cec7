"""Device changes from JSON and Avro, and the rows of the devices table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from pushcast.model.device import REGISTRATIONS, AddressKind, DeviceChange, DeviceRow, DeviceState, Operation, Purpose
from pushcast.model.errors import InvalidInput
from pushcast.model.sealing import ContentKey
from pushcast.model.words import Platform, Reason
from pushcast.wire.devices.addresses import Given, SubscriptionAddress, canonical_address
from pushcast.wire.devices.content_keys import RawContentKey, content_key_of
from pushcast.wire.events.configured import unknown_app
from pushcast.wire.events.event_forms import read_event
from pushcast.wire.events.preferences import Choices, preferences_of, refuse_choices
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type
from pushcast.wire.sealing.sealed_intake import Sealed, intake_place
from pushcast.wire.sealing.seals import Place
from pushcast.wire.times import check_event_time, rfc3339, to_ms

MAX_TOPICS = 200
_NOT_STAGED = "staged belongs to op register"
MAX_TAGS = 50
COUNTRY_CHARS = 2
MAX_REGION_CHARS = 64
MAX_SHOWN_CHARS = 64  # of what an error repeats
MAX_TAGS_BYTES = 4096  # of names and values


class _Raw(Choices, forbid_unknown_fields=True):
    op: Operation
    user: str | None = None
    app: str | None = None
    device: str | None = None
    platform: Platform | None = None
    token: str | None = None
    fid: str | None = None
    subscription: SubscriptionAddress | None = None
    sealed: Sealed | None = None
    locale: str | None = None
    time_zone: str | None = None
    app_version: str | None = None
    topics: list[str] | None = None
    purpose: Purpose | None = None
    tags: dict[str, str] | None = None
    country: str | None = None
    region: str | None = None
    content_key: RawContentKey | None = None
    add: list[str] | None = None
    remove: list[str] | None = None
    staged: bool | None = None
    at: int | str | None = None


#: Opens what a producer sealed for a device. Raises InvalidInput.
Opening = Callable[[Sealed, Place], Given]
#: The JSON form, for documents that are generated from it.
JSON_FORM = _Raw


class DeviceChangeDecoder:
    """Decodes `push.device.changed.v1` for one set of app names.

    `opening` None: what is sealed is not looked into, which is for whoever hands the event on; its change has an empty
    address. `require_sealed`: addresses in clear are refused (`sealing.require`).
    """

    def __init__(
        self,
        apps: Collection[str],
        schemas: SchemaSource | None = None,
        *,
        opening: Opening | None = None,
        require_sealed: bool = False,
    ) -> None:
        self._apps = frozenset(apps)
        self._opening = opening
        self._require_sealed = require_sealed
        self._schemas = schemas
        self._json = msgspec.json.Decoder(_Raw).decode
        self._avro = avro_type("device_change")

    def decode(self, user: str, value: bytes | None, timestamp_ms: int) -> DeviceChange:
        """`user` is the record key's. Raises InvalidInput with the reason; its message never holds a token."""
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing; write op forget_user")
        raw = read_event(value, _Raw, self._json, self._avro, self._schemas)
        return self._validate(raw, user, timestamp_ms)

    def decode_forgetting(self, user: str, value: bytes, timestamp_ms: int) -> DeviceChange | None:
        """None for every other op, whatever its fields say. Raises InvalidInput."""
        raw = read_event(value, _Raw, self._json, self._avro, self._schemas)
        return self._validate(raw, user, timestamp_ms) if raw.op is Operation.FORGET_USER else None

    def _validate(self, raw: _Raw, user: str, timestamp_ms: int) -> DeviceChange:
        if raw.user is not None and raw.user != user:
            raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
        at = to_ms(raw.at, "at", timestamp_ms)
        check_event_time(at, "at")
        if raw.op in REGISTRATIONS:
            return self._registration(raw, user, at)
        if raw.op is not Operation.PREFER:
            refuse_choices(raw, raw.op)
        if raw.op is Operation.FORGET_USER:
            return DeviceChange(raw.op, user, "", "", None, AddressKind.TOKEN, None, at)
        if raw.app is not None and raw.app not in self._apps:
            raise unknown_app(raw.app, self._apps)
        if raw.op is Operation.PREFER:
            return _preference(raw, user, at)
        app = _named(raw.op, raw.app, "app")
        if raw.staged:
            raise InvalidInput(Reason.INVALID_FIELD, _NOT_STAGED, "staged")
        if raw.op is not Operation.TOPICS:
            _refuse_following(raw)
        if raw.op is Operation.UNREGISTER:
            return self._unregistration(raw, user, app, at)
        device = check_id(_named(raw.op, raw.device, "device"), "device")
        if raw.op is Operation.ACTIVATE:
            return DeviceChange(raw.op, user, app, device, raw.platform, AddressKind.TOKEN, None, at)
        return _following(raw, user, app, device, at)

    def _registration(self, raw: _Raw, user: str, at: int) -> DeviceChange:
        """What comes most: nothing is asked twice."""
        refuse_choices(raw, raw.op)
        if raw.app not in self._apps:
            raise unknown_app(_named(raw.op, raw.app, "app"), self._apps)
        if raw.add is not None or raw.remove is not None:
            _refuse_following(raw)
        if raw.staged and raw.op is not Operation.REGISTER:
            raise InvalidInput(Reason.INVALID_FIELD, _NOT_STAGED, "staged")
        app, device = raw.app, check_id(_named(raw.op, raw.device, "device"), "device")
        if raw.platform is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{raw.op} needs platform", "platform")
        kind, address, key = self._address(raw, raw.platform, user, app, device)
        content_key = None if key is None else content_key_of(key, raw.platform)
        return _registration(raw, user, app, device, at, kind, address, content_key)

    def _address(
        self, raw: _Raw, platform: Platform, user: str, app: str, device: str
    ) -> tuple[AddressKind, bytes, RawContentKey | None]:
        """Kind and bytes, and the key for contents that stands beside them."""
        clear = raw.token, raw.fid, raw.subscription
        if raw.sealed is None:
            if self._require_sealed:
                problem = "is needed: addresses in clear are refused (sealing.require)"
                raise InvalidInput(Reason.INVALID_FIELD, f"sealed {problem}", "sealed")
            return *canonical_address(platform, *clear), raw.content_key
        if clear != (None, None, None):
            raise InvalidInput(Reason.INVALID_FIELD, "sealed stands in place of an address, not beside one", "sealed")
        if raw.content_key is not None and self._require_sealed:
            problem = "stands in the box: secrets in clear are refused (sealing.require)"
            raise InvalidInput(Reason.INVALID_FIELD, f"content_key {problem}", "content_key")
        if self._opening is None:
            return AddressKind.TOKEN, b"", raw.content_key
        given = self._opening(raw.sealed, intake_place(app, platform, user, device))
        address = canonical_address(platform, given.token, given.fid, given.subscription)
        return *address, raw.content_key if given.content_key is None else given.content_key

    def _unregistration(self, raw: _Raw, user: str, app: str, at: int) -> DeviceChange:
        """By device id, or by what the provider knows the device by."""
        if raw.device is not None:
            check_id(raw.device, "device")
            return DeviceChange(raw.op, user, app, raw.device, raw.platform, AddressKind.TOKEN, None, at)
        if raw.platform is None or (raw.token, raw.fid, raw.subscription, raw.sealed) == (None, None, None, None):
            raise InvalidInput(Reason.INVALID_FIELD, "unregister needs device, or platform and its token", "device")
        kind, address, _ = self._address(raw, raw.platform, user, app, "")
        return DeviceChange(raw.op, user, app, "", raw.platform, kind, address, at)


def _named(op: Operation, said: str | None, field: str) -> str:
    if said is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"{op} needs {field}", field)
    return said


def _refuse_following(raw: _Raw) -> None:
    """Raises InvalidInput when another op has fields of `topics`."""
    if raw.add is not None or raw.remove is not None:
        field = "remove" if raw.add is None else "add"
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} belongs to op topics", field)


def _registration(
    raw: _Raw,
    user: str,
    app: str,
    device: str,
    at: int,
    kind: AddressKind,
    address: bytes,
    content_key: ContentKey | None,
) -> DeviceChange:
    if raw.tags:
        _check_tags(raw.tags)
    for field, said, limit in (("country", raw.country, COUNTRY_CHARS), ("region", raw.region, MAX_REGION_CHARS)):
        if said is not None and len(said) > limit:
            raise InvalidInput(Reason.INVALID_FIELD, f"{field} has {len(said)} characters; at most {limit}", field)
    return DeviceChange(
        raw.op,
        user,
        app,
        device,
        raw.platform,
        kind,
        address,
        at,
        raw.locale,
        raw.time_zone,
        raw.app_version,
        None if raw.topics is None else _topics(raw.topics, "topics"),
        raw.purpose,
        raw.tags,
        raw.country,
        raw.region,
        content_key=content_key,
        staged=bool(raw.staged),
    )


def _preference(raw: _Raw, user: str, at: int) -> DeviceChange:
    names = ("device", "platform", "token", "fid", "subscription", "sealed", "topics")
    of_devices = {name: getattr(raw, name) for name in names}
    for field, value in of_devices.items():
        if value is not None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{field} is a device's; prefer is a user's", field)
    chosen = preferences_of(raw, raw.time_zone, at)
    return DeviceChange(raw.op, user, raw.app or "", "", None, AddressKind.TOKEN, None, at, preferences=chosen)


def _following(raw: _Raw, user: str, app: str, device: str, at: int) -> DeviceChange:
    if not raw.add and not raw.remove:
        raise InvalidInput(Reason.INVALID_FIELD, "topics needs add or remove, with at least one topic", "add")
    add, remove = _topics(raw.add or (), "add"), _topics(raw.remove or (), "remove")
    if both := sorted(set(add).intersection(remove)):
        raise InvalidInput(Reason.INVALID_FIELD, f"add and remove both name {both[0][:MAX_SHOWN_CHARS]!r}", "remove")
    return DeviceChange(raw.op, user, app, device, raw.platform, AddressKind.TOKEN, None, at, add=add, remove=remove)


def _topics(names: Sequence[str], field: str) -> tuple[str, ...]:
    if len(names) > MAX_TOPICS:
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} has {len(names)} entries; at most {MAX_TOPICS}", field)
    return tuple(names)


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise InvalidInput(Reason.INVALID_FIELD, f"tags has {len(tags)} entries; at most {MAX_TAGS}", "tags")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in tags.items())
    if size > MAX_TAGS_BYTES:
        raise InvalidInput(Reason.INVALID_FIELD, f"tags has {size} bytes; at most {MAX_TAGS_BYTES}", "tags")


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


def is_gone(value: bytes) -> bool:
    """Whether a row is but the marker of a removed device. Raises InvalidInput for what is no row."""
    return bool(_ROW.decode(value)["state"] == DeviceState.GONE)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: without its address, hashes as hexadecimal, times as RFC 3339."""
    told = {name: value for name, value in row.items() if name != "address"}
    for name, value in told.items():
        if isinstance(value, bytes):
            told[name] = value.hex()
        elif value is not None and name.endswith(("_at", "_since")):
            told[name] = rfc3339(value)
    return told
