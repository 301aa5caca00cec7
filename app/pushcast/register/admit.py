"""Which records are events of this partition, and what they say."""

from __future__ import annotations

from pushcast.model.clock import Clock
from pushcast.model.device import DeviceChange
from pushcast.model.errors import InvalidInput
from pushcast.model.ownership import Evict
from pushcast.model.words import Platform, Reason
from pushcast.register.context import STEP
from pushcast.register.names import Topics
from pushcast.register.suspending import SUSPENDED
from pushcast.stream.batch import Record
from pushcast.stream.edge import check_place
from pushcast.wire.answers.receipts import TokenInvalid, decode_token_invalid
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.devices.ownership import decode_evict
from pushcast.wire.headers import appended_at, first
from pushcast.wire.keys import check_id, user_of

MAX_DELIVERY_ID_CHARS = 64  # 32 hex digits, and room for another form
MAX_STATUS = 2**31 - 1  # an Avro int
_PLATFORMS = frozenset(map(str, Platform))
#: What REGISTER reads, but for its own holds.
Admitted = DeviceChange | TokenInvalid | Evict


class Admission:
    """Checks and decodes records of the topics that REGISTER reads, and of its own."""

    def __init__(self, decoder: DeviceChangeDecoder, names: Topics, partitions: int, clock: Clock) -> None:
        self._decoder = decoder
        self._names = names
        self.partitions = partitions
        self._clock = clock

    def admit(self, record: Record, right: int | None = None) -> tuple[Admitted, int]:
        """(event, when it happened in milliseconds). `right`: the partition of its key, when that is known. Raises
        InvalidInput or Misplaced.

        A change cannot have happened after its record was written: a device whose clock runs ahead would otherwise
        outrank its own unregistration, and every verdict of its provider, for as long as its clock is wrong.
        """
        user = self._at_home(record, right)
        if record.topic == self._names.invalid:
            event = self._verdict(user, record.value)
            return event, event.at
        if record.topic == self._names.evict:
            evict = decode_evict(user, record.value)
            return evict, evict.winner.at
        written_at = appended_at(record)
        if written_at is None:
            written_at = self._clock.now_ms()
        change = self._decoder.decode(user, record.value, written_at)
        return change, min(change.at, written_at)

    def admit_hold(self, record: Record) -> TokenInvalid | None:
        """The verdict whose suspension waits; None for a step that was only told. Raises InvalidInput or Misplaced."""
        step = first(record.headers, STEP)
        if step is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"no header {STEP}: REGISTER did not write this record", STEP)
        if step != SUSPENDED.encode():
            return None
        return self._verdict(self._at_home(record), record.value)

    def verdict_of(self, record: Record) -> TokenInvalid:
        """The verdict of a record that was admitted."""
        return self._verdict(user_of(record.key), record.value)

    def _at_home(self, record: Record, right: int | None = None) -> str:
        """The user, of a record that lies in its key's partition. Raises InvalidInput or Misplaced."""
        user = user_of(record.key)
        check_place(record, self.partitions, right)
        return user

    @staticmethod
    def _verdict(user: str, value: bytes | None) -> TokenInvalid:
        if value is None:
            raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
        event = decode_token_invalid(value)
        if event.user != user:
            raise InvalidInput(Reason.INVALID_FIELD, "user differs from the record key", "user")
        for field in ("app", "device", "reason"):
            check_id(getattr(event, field), field)
        if event.platform not in _PLATFORMS:
            raise InvalidInput(Reason.INVALID_FIELD, f"platform is none of {', '.join(Platform)}", "platform")
        status = event.provider_status
        if status is not None and not 0 <= status <= MAX_STATUS:
            raise InvalidInput(Reason.INVALID_FIELD, f"provider_status is not 0 to {MAX_STATUS}", "provider_status")
        if len(event.delivery_id) > MAX_DELIVERY_ID_CHARS:
            raise InvalidInput(
                Reason.INVALID_FIELD, f"delivery_id has more than {MAX_DELIVERY_ID_CHARS} characters", "delivery_id"
            )
        return event
