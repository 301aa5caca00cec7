"""What the topics say about one device: verdicts, suspensions and their ends, registrations. Pure; shows no address."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pushcast.model.device import DeviceChange, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import TOKEN_HASH_BYTES, device_row_key, is_user_row, split_device_row_key, token_hash
from pushcast.register.context import REASON, STEP
from pushcast.register.names import Topics
from pushcast.register.writing import HEALED
from pushcast.wire.answers.dead_letters import SourceRecord
from pushcast.wire.answers.receipts import decode_token_invalid
from pushcast.wire.devices.devices import DeviceChangeDecoder, decode_row
from pushcast.wire.headers import CE_ID, first, is_probe
from pushcast.wire.keys import user_of
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.times import rfc3339

_CHANGES = {
    Operation.REGISTER: "registered",
    Operation.REFRESH: "refreshed",
    Operation.UNREGISTER: "unregistered",
    Operation.FORGET_USER: "user_forgotten",
    Operation.TOPICS: "topics_changed",
    Operation.ACTIVATE: "activated",
}


class KnownDevice(NamedTuple):
    """Whose history it is."""

    user: str
    app: str
    device: str


class HistoryStep(NamedTuple):
    """One record. `at` is its Kafka time, milliseconds since the epoch."""

    at: int
    step: str
    reason: str | None
    device: KnownDevice
    token_hash: str | None
    topic: str
    partition: int
    offset: int
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: times in RFC 3339."""
        return {
            "at": rfc3339(self.at),
            "step": self.step,
            "reason": self.reason,
            **self.device._asdict(),
            "token_hash": self.token_hash,
            "record": f"{self.topic}/{self.partition}/{self.offset}",
            **{name: _readable(name, value) for name, value in self.details.items()},
        }


class HistorySubject:
    """A device id, or the hash of a token in hex: what a record must hold to be about it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest: bytes | None = None
        if len(text) == 2 * TOKEN_HASH_BYTES:
            with contextlib.suppress(ValueError):  # a device id of that length
                self.digest = bytes.fromhex(text)
        self._needles = [text.encode(), *([] if self.digest is None else [self.digest])]

    def may_be_in(self, record: SourceRecord) -> bool:
        """Cheap; False for a record that cannot be about it. Avro has ids and hashes as they are."""
        value, key = record.value or b"", record.key or b""
        return any(needle in value or needle in key for needle in self._needles)

    def is_about(self, step: HistoryStep) -> bool:
        return step.device.device == self.text or (self.digest is not None and step.token_hash == self.digest.hex())


class Historian:
    """Reads the records of REGISTER's topics as steps."""

    def __init__(self, apps: Collection[str], names: Topics | None = None, schemas: SchemaSource | None = None) -> None:
        self._changes = DeviceChangeDecoder(apps, schemas)
        self._names = names or Topics()

    def step_of(self, record: SourceRecord) -> HistoryStep | None:
        """None for records that are about no device. Raises InvalidInput for what cannot be read."""
        if record.topic == self._names.device:
            return _row(record)
        if is_probe(record.value, record.headers):
            return None
        if record.topic == self._names.changed:
            return self._change(record)
        return _verdict(record, held=record.topic == self._names.hold)

    def _change(self, record: SourceRecord) -> HistoryStep | None:
        change: DeviceChange = self._changes.decode(user_of(record.key), record.value, record.timestamp)
        if change.op is Operation.PREFER:
            return None
        digest = None if change.address is None else token_hash(change.address).hex()
        device = KnownDevice(change.user, change.app, change.device)
        return _step(record, _CHANGES[change.op], None, device, digest, {"reported_at": change.at})


def concerns(step: HistoryStep, devices: Collection[KnownDevice]) -> bool:
    """Whether it is part of these devices' histories: forgetting a user is part of all of the user's."""
    if step.step == _CHANGES[Operation.FORGET_USER]:
        return any(step.device.user == device.user for device in devices)
    return step.device in devices


def ordered(steps: Collection[HistoryStep], names: Topics | None = None) -> list[HistoryStep]:
    """By time; at one time changes come before verdicts, their holds and the rows, and a partition's as in the log."""
    names = names or Topics()
    ranks = {names.changed: 0, names.invalid: 1, names.hold: 2, names.device: 3}
    return sorted(steps, key=lambda step: (step.at, ranks[step.topic], step.partition, step.offset))


def _verdict(record: SourceRecord, *, held: bool) -> HistoryStep:
    if record.value is None:
        raise InvalidInput("tombstone", "a null value on an event topic means nothing")
    event = decode_token_invalid(record.value)
    step = _text(first(record.headers, STEP)) if held else None
    reason = _text(first(record.headers, REASON)) if held else None
    details: dict[str, Any] = {"platform": event.platform, "cause": _text(first(record.headers, CE_ID))}
    if not held:
        details = {
            "platform": event.platform,
            "provider_status": event.provider_status,
            "invalid_since": event.invalid_since,
            "sent_at": event.sent_at,
            "answered_at": event.at,
            "delivery_id": event.delivery_id,
        }
    device = KnownDevice(event.user, event.app, event.device)
    return _step(record, step or "verdict", reason or event.reason, device, event.token_hash.hex(), details)


def _row(record: SourceRecord) -> HistoryStep | None:
    key = record.key or b""
    try:
        device = KnownDevice(*split_device_row_key(key))
    except (ValueError, UnicodeDecodeError):
        return None  # a fence, or nothing of ours
    if is_user_row(key):
        return None
    cause = {"cause": _text(first(record.headers, CE_ID))}
    reason = _text(first(record.headers, REASON))
    if first(record.headers, STEP) == HEALED:
        reason = HEALED.decode()
    if record.value is None:
        return _step(record, "row_removed", reason, device, None, cause)
    row = decode_row(record.value)
    assert device_row_key(*device) == key
    if row.is_gone:
        removed = {"outdated_until_at": row.registered_at, "removed_at": row.removed_at, **cause}
        return _step(record, "row_removed", reason or row.suspended_reason, device, None, removed)
    details = {"registered_at": row.registered_at, "suspended_at": row.suspended_at, "purpose": row.purpose, **cause}
    return _step(record, f"row_{row.state}", reason, device, row.token_hash.hex(), details)


def _step(
    record: SourceRecord,
    step: str,
    reason: str | None,
    device: KnownDevice,
    digest: str | None,
    details: Mapping[str, Any],
) -> HistoryStep:
    return HistoryStep(
        record.timestamp, step, reason, device, digest, record.topic, record.partition, record.offset, details
    )


def _readable(name: str, value: Any) -> Any:
    return rfc3339(value) if value is not None and name.endswith(("_at", "_since")) else value


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
