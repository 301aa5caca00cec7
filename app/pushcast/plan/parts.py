"""Which of a user's devices get a notification now, and when the others do: by local times and quiet hours, where each
device is. Pure; times are milliseconds since the epoch.

A notification that some devices get later wakes when the first of them is due. Those that are due by then are planned,
and the rest waits on, with the names of all that were planned: no device gets it twice, wherever it travels meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

import msgspec

from pushcast.model.gates import EXPIRED, Ends, Verdict, in_quiet_hours
from pushcast.model.ids import DEVICE_NAME_BYTES, device_name
from pushcast.model.notification import Notification
from pushcast.model.preferences import Wishes
from pushcast.model.quiet import Quiet, QuietRule, QuietTerms
from pushcast.model.timing import Timing, spread_of
from pushcast.model.words import Outcome, Reason
from pushcast.model.zones import name_of as name_of_zone
from pushcast.wire.devices.device_zones import Home, place_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.row_tail import seen_at_ms

#: Stands before the names of devices that were left out. An earlier release takes it for one more device.
_LEFT_OUT: Final = bytes(DEVICE_NAME_BYTES)
MUTED: Final = Ends(Outcome.SUPPRESSED, Reason.MUTED)


class Around(NamedTuple):
    """What decides beside the notification itself. `home`: the user's zone, by all of the user's devices. `default`: of
    an app's devices when nobody has one."""

    wishes: Wishes
    home: Home
    default: Callable[[str], tzinfo]
    rule: QuietRule
    quiet: Quiet  # what its class does in quiet hours
    may_mute: bool = True  # whether a mute counts for its class
    now_or_never_ms: int = 0


class Share(NamedTuple):
    """`now`: devices that are due. `left_out`: due ones that do not get it, now or later.

    `silent`: due ones in quiet hours, which get it without sound. `terms`: by row key,
    the quiet hours that a later try is judged by. `due_at`: the latest of their times. `later_at`: when the next of the
    others is due, and `waits_for` why; None: no other waits. `ends`: what becomes of those that never get it.
    `assumed`: devices whose zone is not known."""

    now: list[Device]
    silent: list[Device]
    terms: dict[bytes, QuietTerms]
    due_at: int
    later_at: int | None
    waits_for: Reason
    ends: Ends | None
    assumed: int
    left_out: list[Device]

    @property
    def leaving(self) -> list[Device]:
        """All that get it now."""
        return [*self.now, *self.silent]


def name_of(device: Device) -> bytes:
    """8 bytes that stand for a device of the user among those that were planned."""
    return device_name(device.key)


def names_in(done: bytes) -> set[bytes]:
    """Devices that do not get it any more: they were planned, or left out."""
    return set(_names(done)) - {_LEFT_OUT}


def planned_in(done: bytes) -> set[bytes]:
    """Of these the devices that were planned."""
    names = _names(done)
    return set(names[: names.index(_LEFT_OUT)]) if _LEFT_OUT in names else set(names)


def done_with(done: bytes, planned: bytes, left_out: Sequence[Device]) -> bytes:
    """The same with more: names of planned devices, and devices that are left out. A planner that is killed says by
    this what its successor plans, so the two are told apart."""
    names, skipped = _names(done), list(map(name_of, left_out))
    before = names.index(_LEFT_OUT) if _LEFT_OUT in names else len(names)
    skipped = [*names[before + 1 :], *skipped]
    return b"".join([*names[:before], planned, *([_LEFT_OUT, *skipped] if skipped else ())])


def _names(done: bytes) -> list[bytes]:
    return [done[at : at + DEVICE_NAME_BYTES] for at in range(0, len(done), DEVICE_NAME_BYTES)]


def share(note: Notification, devices: Sequence[Device], done: bytes, now_ms: int, around: Around) -> Share:
    """`done`: names of the devices that were planned before."""
    timing, wishes = note.timing, around.wishes
    is_local = timing is not None and timing.is_local
    planned = names_in(done)
    now, silent, left_out, latest, assumed = list[Device](), list[Device](), list[Device](), 0, 0
    later: list[tuple[int, Reason]] = []
    terms: dict[bytes, QuietTerms] = {}
    ends: Ends | None = None
    for device in devices:
        if planned and name_of(device) in planned:
            continue
        windows = () if around.quiet is Quiet.IGNORE else around.rule.windows(wishes, device.app)
        due, part, zone = note.due_at, note, None
        if is_local or windows:
            of_user = is_local and timing is not None and timing.of_user
            default = around.default(device.app)
            zone, known = place_of(device, around.home, wishes, default, of_user=of_user)
            assumed += not known
        if is_local and timing is not None and zone is not None:
            its_own = timing.at_last_seen(seen_at_ms(device), zone) if timing.last_active else timing
            local = its_own.due_in(zone, note.created_at)
            if local is None:
                continue
            due = local + spread_of(note.user, note.campaign or note.id, timing.spread_ms) + timing.wait_ms
            if due > now_ms:
                later.append((due, Reason.SCHEDULED))
                continue
            part, latest = dated(note, due), max(latest, due)
            if part.is_over(now_ms, around.now_or_never_ms):  # whatever others are due by now
                ends = EXPIRED
                continue
            if around.may_mute and wishes.muted_until(device.app) > now_ms:
                ends = MUTED
                left_out.append(device)
                continue
        until = None if zone is None else around.rule.until(windows, zone, note.user, now_ms)
        verdict: Verdict = None if until is None else in_quiet_hours(around.quiet, until, part.expires_at)
        if isinstance(verdict, Ends):
            ends = verdict
            left_out.append(device)
        elif until is not None and verdict is not None:
            later.append((until, Reason.QUIET_HOURS))
        else:
            (now if until is None else silent).append(device)
            latest = max(latest, due)
            if zone is not None and windows and around.quiet is not Quiet.PASSIVE:
                terms[device.key] = QuietTerms(around.quiet, name_of_zone(zone), windows)
    later_at, waits_for = min(later, default=(None, Reason.SCHEDULED))
    return Share(now, silent, terms, latest, later_at, waits_for, ends, assumed, left_out)


def nobody(note: Notification, zone: tzinfo) -> int | None:
    """When it is due for a user without devices: some may come until then. None: it is over."""
    if note.timing is None:
        return None
    return note.created_at if note.timing.last_active else note.timing.due_in(zone, note.created_at)


def held_until(note: Notification, due_at: int) -> Notification:
    """The notification as it is after a hold until then, which lengthens no expiry: receipts say how late it is from
    there on."""
    return msgspec.structs.replace(note, due_at=due_at, timing=note.timing or Timing(due_at))


def dated(note: Notification, due_at: int) -> Notification:
    """The notification as it is for devices that are due then: a time to live counts from there."""
    expires_at = due_at + note.ttl_ms if note.ttl_ms else note.expires_at
    return msgspec.structs.replace(note, due_at=due_at, expires_at=expires_at)
