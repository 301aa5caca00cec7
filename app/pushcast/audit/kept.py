"""What the keeper holds for a device: a part of a broadcast names its devices, a notification is its user's. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import broadcast_delivery_id, device_name, device_row_key
from pushcast.model.words import Reason
from pushcast.plan.parts import names_in
from pushcast.wire.headers import Headers
from pushcast.wire.times import rfc3339
from pushcast.wire.waiting.facts import decode_facts
from pushcast.wire.waiting.held import held_of
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, decode_held, is_held_broadcast
from pushcast.wire.waiting.timers import Timer

#: Where it waits, in answers.
KEEPER = "keeper"


class KeptPush(NamedTuple):
    """What waits for one user. Times are milliseconds since the epoch; `due_at` 0: at once. `reason` None: only the
    planned record has it."""

    user: str
    id: str  # of a notification, or of a broadcast
    lane: str
    due_at: int
    written_at: int
    reason: str | None
    part: HeldBroadcast | None  # of a broadcast; None: a notification
    event: bytes
    done: bytes  # names of devices that were planned already


class DeviceWait(NamedTuple):
    """What a device still waits for."""

    user: str
    app: str
    device: str
    kind: str  # notification or broadcast
    id: str
    lane: str
    because: str | None
    due_at: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON. `until` null: it is about to be let go."""
        said = {name: value for name, value in self._asdict().items() if name != "due_at"}
        return {**said, "where": KEEPER, "until": rfc3339(self.due_at) if self.due_at else None}

    def sentence(self) -> str:
        """For people."""
        why = f" ({self.because})" if self.because else ""
        return f"{self.kind} {self.id} waits in the keeper {until(self.due_at)}{why}"


def until(due_at: int) -> str:
    """For people."""
    return f"until {rfc3339(due_at)}" if due_at else "and is about to be let go"


def of_timer(user: str, note_id: str, timer: Timer) -> KeptPush:
    """What a row of the keeper holds. Raises InvalidInput for a part of a broadcast that cannot be read."""
    part = decode_held(timer.event) if is_held_broadcast(timer.event) else None
    reason = timer.closes or _gate(timer.facts, part)
    return KeptPush(user, note_id, timer.lane, timer.due_at, timer.written_at, reason, part, timer.event, timer.done)


def of_record(user: str, lane: str, headers: Headers, value: bytes) -> KeptPush:
    """What a record holds that the keeper has not read yet. Raises InvalidInput."""
    held = held_of(headers)
    part = decode_held(value) if is_held_broadcast(value) else None
    reason = _gate(held.facts, part)
    return KeptPush(user, held.note_id, lane, held.due_at, held.written_at, reason, part, value, held.done)


def _gate(facts: bytes, part: HeldBroadcast | None) -> str | None:
    if facts:
        return decode_facts(facts).gate
    return None if part is None else Reason.QUIET_HOURS  # no other gate of a walk goes without facts


def deliveries_of(kept: Iterable[KeptPush], broadcast: str) -> dict[str, KeptPush]:
    """What of a broadcast waits, by delivery id in hex."""
    parts = [(each, each.part) for each in kept if each.part is not None and each.id == broadcast]
    return {delivery.hex(): each for each, part in parts for delivery in part.delivery_ids}


def waits_for(
    kept: Iterable[KeptPush], app: str, device: str, app_of: Callable[[KeptPush], str | None]
) -> list[DeviceWait]:
    """What of a user's waits for one of the devices. `app_of`: the app of a notification; None: any."""
    found = []
    for each in kept:
        key = device_row_key(each.user, app, device)
        if each.part is not None:
            concerned = broadcast_delivery_id(each.id, key) in each.part.delivery_ids
        else:
            concerned = device_name(key) not in names_in(each.done) and _is_for(each, app, app_of)
        if concerned:
            kind = "notification" if each.part is None else "broadcast"
            found.append(DeviceWait(each.user, app, device, kind, each.id, each.lane, each.reason, each.due_at))
    return found


def _is_for(kept: KeptPush, app: str, app_of: Callable[[KeptPush], str | None]) -> bool:
    try:
        return app_of(kept) in (None, app)
    except InvalidInput:
        return False  # it ends as a dead letter when it is let go
