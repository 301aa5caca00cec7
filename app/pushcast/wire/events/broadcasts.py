"""Broadcast events, JSON and Avro, as one validated model, and what the orders of them carry.

Content, options and times are a notification's: `NotificationDecoder` reads and refuses them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from pushcast.model.audience import EVERYBODY, Node
from pushcast.model.broadcast import Broadcast, BroadcastPace, Instant, Split, Step, Variant
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import BUCKETS
from pushcast.model.instants import first_due
from pushcast.model.notification import ONE_MORE, Notification
from pushcast.model.timing import Timing
from pushcast.model.words import Platform, Reason
from pushcast.wire.events.audiences import Segments, expanded, parse_audience, parse_where, where_of
from pushcast.wire.events.broadcast_parts import RawNotTo, check_contents, check_pace, check_steps, not_to_of, refuse
from pushcast.wire.events.broadcast_via import ViaWord, via_of
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.event_forms import is_json
from pushcast.wire.events.notification_json import folded
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import SchemaSource, avro_type

MAX_LIFE_MS: Final = 7 * 86_400_000
MAX_VARIANTS: Final = 100
MAX_VARIANT_NAME_BYTES: Final = 64
#: Of what orders carry: 64 KiB less than push.walk.<lane>.v1 takes. A producer that compresses can send a larger event,
#: and segments are written out in it.
MAX_FROZEN_BYTES: Final = 2_031_616
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
    pace: BroadcastPace | None = None
    split: _RawSplit | None = None
    via: ViaWord = "devices"
    not_to: RawNotTo | None = None
    steps: list[Step] | None = None
    quick: bool = False
    step: int | None = None
    instants: list[Instant] | None = None


_OWN_FIELDS: Final = frozenset(_Own.__struct_fields__)
_OBJECTS: Final = ("audience", "pace", "split", "not_to", "steps")  # JSON texts in the Avro form


class BroadcastEvent(NamedTuple):
    """A broadcast event, valid; `fields` is what it says, as JSON has it, with its times filled in."""

    broadcast: Broadcast
    fields: Mapping[str, Any]

    def frozen(self, segments: Segments, not_to_since_ms: int = 0, instants: Sequence[Instant] = ()) -> bytes:
        """What the orders of it carry: the event with every segment replaced by what it stands for now.

        `not_to_since_ms`: Kafka's time of the broadcast that `not_to` names. `instants`: when it is due. Raises
        InvalidInput: unknown_segment, invalid_field, or too_large.
        """
        frozen: dict[str, Any] = {}
        if self.broadcast.via is None:
            audience = expanded(self.broadcast.audience, segments)
            frozen["audience"] = {"all": True} if audience == EVERYBODY else {"where": where_of(audience)}
        if self.broadcast.not_to is not None:
            frozen["not_to"] = {**self.fields["not_to"], "since_ms": not_to_since_ms}
        if self.broadcast.stepped:
            frozen["step"] = 0
        if instants:
            frozen |= {"step": 0, "instants": instants, "expires_at": max(each.expires_at for each in instants)}
        event = msgspec.json.encode({**self.fields, **frozen})
        if len(event) > MAX_FROZEN_BYTES:
            text = f"the broadcast has {len(event)} bytes, its segments written out; at most {MAX_FROZEN_BYTES}"
            raise InvalidInput(Reason.TOO_LARGE, text)
        return event


class BroadcastDecoder:
    """Decodes `push.broadcast.<lane>.v1`, and the frozen events of orders, for one set of apps and classes."""

    def __init__(
        self, apps: Collection[str], classes: Mapping[str, ClassRule], schemas: SchemaSource | None = None
    ) -> None:
        self._notes = NotificationDecoder(apps, classes, schemas)
        # A frozen event has the times of before, whatever zones and counts make of them.
        self._frozen_notes = NotificationDecoder(apps, classes, schemas, of_keeper=True)
        self._gathering = {name for name, rule in classes.items() if rule.gathers}
        self._gated = {name for name, rule in classes.items() if rule.gated}
        self._schemas = schemas
        self._avro = avro_type("broadcast")
        self._json = msgspec.json.Decoder(dict[str, Any]).decode

    def change(self, classes: Mapping[str, ClassRule]) -> None:
        """As of `NotificationDecoder`."""
        self._notes.change(classes)
        self._frozen_notes.change(classes)

    def decode(self, key: bytes | None, value: bytes | None, timestamp_ms: int) -> BroadcastEvent:
        """`key` is the record's: the broadcast's id, or nothing. `timestamp_ms`: Kafka's time of the event.

        Raises InvalidInput with reason, field and limit.
        """
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        fields = self._fields(value)
        event = self._event(fields, timestamp_ms, parse_audience, frozen=False)
        if key is not None and key != event.broadcast.id.encode():
            refuse("id", "differs from the record key")
        return event

    def decode_frozen(self, value: bytes, timestamp_ms: int) -> Broadcast:
        """What `BroadcastEvent.frozen` wrote. Raises InvalidInput: this process knows another configuration."""
        return self._event(self._fields(value), timestamp_ms, _frozen_audience, frozen=True).broadcast

    def _fields(self, value: bytes) -> dict[str, Any]:
        if is_json(value):
            try:
                return self._json(value)
            except UNREADABLE as error:
                raise from_msgspec(error, value) from error
        datum = self._avro.decode(value, self._schemas)
        own = {name: datum.pop(f"{name}_json") for name in _OBJECTS}
        texts = {name: self._text(text, name) for name, text in own.items() if text is not None}
        return {name: given for name, given in folded(datum).items() if given is not None} | texts

    def _text(self, text: str, field: str) -> Any:
        try:
            return msgspec.json.decode(text)
        except UNREADABLE:
            refuse(f"{field}_json", "is no JSON")

    def _event(self, fields: dict[str, Any], timestamp_ms: int, audience_of: Any, *, frozen: bool) -> BroadcastEvent:
        given = {name: fields[name] for name in fields if name in _OWN_FIELDS}
        noted = {name: fields[name] for name in fields if name not in _OWN_FIELDS}
        try:
            own = msgspec.convert(given, _Own)
        except msgspec.ValidationError as error:
            raise from_msgspec(error, of=_Own) from error
        if noted.get("user") is not None:
            refuse("user", "belongs to a notification; a broadcast has an audience")
        app = noted.get("app")
        if not isinstance(app, str):
            refuse("app", "is required: a broadcast is for the devices of one app")
        note = self._note(noted, timestamp_ms, frozen=frozen)
        if note.options.badge == ONE_MORE:
            refuse("options.badge", "+1 is of one user: a broadcast sets a number, or none")
        if note.klass in self._gathering:
            refuse("class", f"{note.klass} has a digest, which is for notifications alone")
        if note.klass in self._gated:
            refuse("class", f"{note.klass} has a read_gate, which is for notifications alone")
        life_ms = note.ttl_ms or note.expires_at - first_due(note)
        if life_ms > MAX_LIFE_MS and not frozen:
            refuse("expires_at", "is more than 7 days after what is due, which is created_at without a time")
        if note.timing is not None:
            _check_timing(note.timing, own)
        via = via_of(own.via, own.audience or {}, _needs_devices(own, note), note.options)
        channel = via is not None and via.platform is Platform.APNS  # which is no condition on devices
        audience: Node = EVERYBODY if channel else audience_of(own.audience)
        if own.quick and not own.count_only:
            refuse("quick", "is for counts: it needs count_only")
        for field in ("step", "instants"):
            if getattr(own, field) is not None and not frozen:
                refuse(field, "is not for producers")
        life_seconds = life_ms / 1000
        check_pace(own.pace, life_seconds)
        broadcast = Broadcast(
            note,
            app,
            audience,
            own.count_only,
            own.pace,
            None if own.split is None else self._split(own.split, note.id, noted, timestamp_ms, frozen=frozen),
            None if own.not_to is None else not_to_of(own.not_to, note.id, frozen=frozen),
            () if own.steps is None else check_steps(own.steps, life_seconds),
            own.quick,
            own.step or 0,
            tuple(own.instants or ()),
            via,
        )
        if not frozen:
            check_contents([note] if broadcast.split is None else [each.note for each in broadcast.split.variants])
        return BroadcastEvent(broadcast, {**fields, "created_at": note.created_at, "expires_at": note.expires_at})

    def _note(self, fields: Mapping[str, Any], timestamp_ms: int, *, frozen: bool) -> Notification:
        notes = self._frozen_notes if frozen else self._notes
        return notes.decode("", msgspec.json.encode(fields), timestamp_ms)

    def _split(
        self, raw: _RawSplit, broadcast_id: str, noted: Mapping[str, Any], timestamp_ms: int, *, frozen: bool
    ) -> Split:
        if not 1 <= len(raw.variants) <= MAX_VARIANTS:
            refuse("split.variants", f"has {len(raw.variants)} entries; 1 to {MAX_VARIANTS}")
        shares = [each.share for each in raw.variants]
        if min(*shares, raw.holdout) < 0 or sum(shares) + raw.holdout != BUCKETS:
            refuse("split", f"has shares and a holdout of {sum(shares) + raw.holdout} together; they must be {BUCKETS}")
        if len({each.name for each in raw.variants}) < len(raw.variants):
            refuse("split.variants", "has a name twice")
        variants = []
        for place, each in enumerate(raw.variants):
            if not 1 <= len(each.name.encode()) <= MAX_VARIANT_NAME_BYTES:
                refuse(f"split.variants[{place}].name", f"takes 1 to {MAX_VARIANT_NAME_BYTES} bytes")
            texts = {name: text for name in _TEXTS if (text := getattr(each, name)) is not None}
            variants.append(Variant(each.name, each.share, self._note({**noted, **texts}, timestamp_ms, frozen=frozen)))
        salt = broadcast_id if raw.salt is None else check_id(raw.salt, "split.salt")
        return Split(raw.unit, salt, raw.holdout, tuple(variants))


def _needs_devices(own: _Own, note: Notification) -> list[str]:
    """Fields of an event that only devices which Pushcast knows can fulfil."""
    local = note.timing is not None and note.timing.is_local
    parts: dict[str, object] = {"split": own.split, "pace": own.pace, "not_to": own.not_to, "steps": own.steps}
    parts |= {"count_only": own.count_only, "deliver_local_at": local}
    return [name for name, value in parts.items() if value]


def _check_timing(timing: Timing, own: _Own) -> None:
    """What a time of a broadcast cannot be, and what does not go with one."""
    if timing.spread_ms:
        refuse("spread_seconds", "is not for broadcasts, which have a pace")
    if timing.of_user:
        refuse("time_zone", "user is not for broadcasts: device, or one zone for all")
    if own.steps is not None:
        refuse("steps", "do not go with deliver_at and deliver_local_at")


def _frozen_audience(given: Mapping[str, Any] | None) -> Node:
    """No limits: the tree was within them before its texts grew."""
    if given is not None and "where" in given:
        return parse_where(given["where"], "audience.where", max_bytes=None)
    return parse_audience(given)
