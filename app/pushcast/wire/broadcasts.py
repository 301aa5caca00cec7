"""Broadcast events, JSON and Avro, as one validated model; and the orders that they become, one for each partition.

Content, options and times are a notification's: `NotificationDecoder` reads and refuses them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, NamedTuple, NoReturn

import msgspec

from pushcast.model.audience import EVERYBODY, Node
from pushcast.model.broadcast import Broadcast, Pace, Split, Variant
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import BUCKETS
from pushcast.model.notification import Notification
from pushcast.model.words import Reason
from pushcast.wire.audiences import Segments, expanded, parse_audience, parse_where, where_of
from pushcast.wire.class_rules import ClassRule
from pushcast.wire.event_forms import is_json
from pushcast.wire.json_errors import from_msgspec
from pushcast.wire.keys import check_id
from pushcast.wire.notification_json import folded
from pushcast.wire.notifications import NotificationDecoder
from pushcast.wire.schemas import SchemaSource, avro_type

MAX_LIFE_MS: Final = 7 * 86_400_000
MAX_PACE_SECONDS: Final = 86_400
MAX_PER_SECOND: Final = 1_000_000
MAX_VARIANTS: Final = 100
MAX_VARIANT_NAME_BYTES: Final = 64
_TEXTS: Final = ("title", "body", "data", "locales")


class _RawVariant(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    share: int
    title: str | None = None
    body: str | None = None
    data: dict[str, Any] | None = None
    locales: dict[str, Any] | None = None


class _RawSplit(msgspec.Struct, forbid_unknown_fields=True):
    variants: list[_RawVariant]
    unit: Literal["user", "device"] = "user"
    salt: str | None = None
    holdout: int = 0


class _Own(msgspec.Struct, forbid_unknown_fields=True):
    """What a broadcast has and a notification has not."""

    audience: dict[str, Any] | None = None
    count_only: bool = False
    pace: Pace | None = None
    split: _RawSplit | None = None
    via: Literal["devices"] = "devices"


_OWN_FIELDS: Final = frozenset(_Own.__struct_fields__)


class Event(NamedTuple):
    """A broadcast event, valid; `fields` is what it says, as JSON has it, with its times filled in."""

    broadcast: Broadcast
    fields: Mapping[str, Any]

    def frozen(self, segments: Segments) -> bytes:
        """What the orders of it carry: the event with every segment replaced by what it stands for now.

        Raises InvalidInput: unknown_segment, or invalid_field.
        """
        audience = expanded(self.broadcast.audience, segments)
        form = {"all": True} if audience == EVERYBODY else {"where": where_of(audience)}
        return msgspec.json.encode({**self.fields, "audience": form})


class BroadcastDecoder:
    """Decodes `push.broadcast.<lane>.v1`, and the frozen events of orders, for one set of apps and classes."""

    def __init__(
        self, apps: Collection[str], classes: Mapping[str, ClassRule], schemas: SchemaSource | None = None
    ) -> None:
        self._notes = NotificationDecoder(apps, classes, schemas)
        self._schemas = schemas
        self._avro = avro_type("broadcast")
        self._json = msgspec.json.Decoder(dict[str, Any]).decode

    def decode(self, key: bytes | None, value: bytes | None, timestamp_ms: int) -> Event:
        """`key` is the record's: the broadcast's id, or nothing. `timestamp_ms`: Kafka's time of the event.

        Raises InvalidInput with reason, field and limit.
        """
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        fields = self._fields(value)
        event = self._event(fields, timestamp_ms, parse_audience)
        if key is not None and key != event.broadcast.id.encode():
            _refuse("id", "differs from the record key")
        return event

    def decode_frozen(self, value: bytes, timestamp_ms: int) -> Broadcast:
        """What `Event.frozen` wrote. Raises InvalidInput: this process knows another configuration."""
        return self._event(self._fields(value), timestamp_ms, _frozen_audience).broadcast

    def _fields(self, value: bytes) -> dict[str, Any]:
        if is_json(value):
            try:
                return self._json(value)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise from_msgspec(error, value) from error
        datum = self._avro.decode(value, self._schemas)
        own = {name: datum.pop(f"{name}_json") for name in ("audience", "pace", "split")}
        texts = {name: self._text(text, name) for name, text in own.items() if text is not None}
        return {name: given for name, given in folded(datum).items() if given is not None} | texts

    def _text(self, text: str, field: str) -> dict[str, Any]:
        try:
            return self._json(text)
        except (msgspec.MsgspecError, RecursionError):
            _refuse(f"{field}_json", "is no JSON object")

    def _event(self, fields: dict[str, Any], timestamp_ms: int, audience_of: Any) -> Event:
        given = {name: fields[name] for name in fields if name in _OWN_FIELDS}
        noted = {name: fields[name] for name in fields if name not in _OWN_FIELDS}
        try:
            own = msgspec.convert(given, _Own)
        except msgspec.ValidationError as error:
            raise from_msgspec(error) from error
        if noted.get("user") is not None:
            _refuse("user", "belongs to a notification; a broadcast has an audience")
        app = noted.get("app")
        if not isinstance(app, str):
            _refuse("app", "is required: a broadcast is for the devices of one app")
        note = self._note(noted, timestamp_ms)
        if note.expires_at - note.created_at > MAX_LIFE_MS:
            _refuse("expires_at", "is more than 7 days after created_at")
        if note.timing is not None:
            _refuse("deliver_at", "and other times to wait for are not for broadcasts in this release")
        audience: Node = audience_of(own.audience)
        split = None if own.split is None else self._split(own.split, note.id, noted, timestamp_ms)
        _check_pace(own.pace, (note.expires_at - note.created_at) / 1000)
        broadcast = Broadcast(note, app, audience, own.count_only, own.pace, split)
        return Event(broadcast, {**fields, "created_at": note.created_at, "expires_at": note.expires_at})

    def _note(self, fields: Mapping[str, Any], timestamp_ms: int) -> Notification:
        return self._notes.decode("", msgspec.json.encode(fields), timestamp_ms)

    def _split(self, raw: _RawSplit, broadcast_id: str, noted: Mapping[str, Any], timestamp_ms: int) -> Split:
        if not 1 <= len(raw.variants) <= MAX_VARIANTS:
            _refuse("split.variants", f"has {len(raw.variants)} entries; 1 to {MAX_VARIANTS}")
        shares = [each.share for each in raw.variants]
        if min(*shares, raw.holdout) < 0 or sum(shares) + raw.holdout != BUCKETS:
            _refuse(
                "split", f"has shares and a holdout of {sum(shares) + raw.holdout} together; they must be {BUCKETS}"
            )
        if len({each.name for each in raw.variants}) < len(raw.variants):
            _refuse("split.variants", "has a name twice")
        variants = []
        for place, each in enumerate(raw.variants):
            if not 1 <= len(each.name.encode()) <= MAX_VARIANT_NAME_BYTES:
                _refuse(f"split.variants[{place}].name", f"takes 1 to {MAX_VARIANT_NAME_BYTES} bytes")
            texts = {name: text for name in _TEXTS if (text := getattr(each, name)) is not None}
            variants.append(Variant(each.name, each.share, self._note({**noted, **texts}, timestamp_ms)))
        salt = broadcast_id if raw.salt is None else check_id(raw.salt, "split.salt")
        return Split(raw.unit, salt, raw.holdout, tuple(variants))


def _frozen_audience(given: Mapping[str, Any] | None) -> Node:
    """No limits: the tree was within them before its texts grew."""
    if given is not None and "where" in given:
        return parse_where(given["where"], "audience.where", max_bytes=None)
    return parse_audience(given)


def _check_pace(pace: Pace | None, life_seconds: float) -> None:
    if pace is None:
        return
    over, rate = pace.over_seconds, pace.per_second
    if (over is None) is (rate is None):
        _refuse("pace", "takes over_seconds or per_second")
    if over is not None and not 1 <= over <= MAX_PACE_SECONDS:
        _refuse("pace.over_seconds", f"is {over}; 1 to {MAX_PACE_SECONDS}")
    if over is not None and over > life_seconds:
        _refuse("pace.over_seconds", f"is {over}, and the broadcast expires after {life_seconds:.0f} s")
    if rate is not None and not 1 <= rate <= MAX_PER_SECOND:
        _refuse("pace.per_second", f"is {rate}; 1 to {MAX_PER_SECOND}")


def _refuse(field: str, problem: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)


_ORDER = avro_type("walk_order")


class Order(NamedTuple):
    """One partition's part of a broadcast, as `push.walk.<lane>.v1` has it. Times are milliseconds since the epoch.

    `reason`: why nothing is to be planned; empty: something is. `event`: what `Event.frozen` wrote.
    """

    broadcast: str
    intake_id: str
    intake_offset: int
    recorded_at: int
    count_only: bool
    reason: str
    event: bytes


def encode_order(order: Order) -> bytes:
    """Framed Avro; equal orders have equal bytes."""
    return _ORDER.encode(order._asdict())


def decode_order(value: bytes) -> Order:
    """Raises InvalidInput for what SPREAD of this or an earlier release has not written."""
    return Order(**_ORDER.decode(value))
