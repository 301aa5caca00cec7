"""What of a broadcast a user gets now, and what the keeper holds: by quiet hours, and by frequency caps. Pure.

The order of these gates is that of a notification: quiet hours first, because a slot of a cap is taken when it is used.
So a user of whom any device may get it now goes to the keeper whole, who takes the slot. The keeper's record names the
devices that wait by their delivery ids, and the order that has the content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pushcast.model.broadcast import Broadcast
from pushcast.model.calm import CalmTimes
from pushcast.model.gates import Ends, Override, in_quiet_hours
from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.quiet import Quiet, QuietRule, QuietTerms
from pushcast.model.user import QuietHours
from pushcast.model.words import Reason
from pushcast.model.zones import name_of
from pushcast.stream.capped import Limited
from pushcast.wire.devices.device_zones import Home, place_of, zone_of_user
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.events.orders import Order
from pushcast.wire.waiting.facts import encode_facts
from pushcast.wire.waiting.held import Held
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, content_of, encode_held

#: Of a configuration without quiet hours.
NO_QUIET_HOURS: Final = QuietRule({}, 0)


class KeptPart(NamedTuple):
    """What goes to the keeper: a record for one user, and of a split by device one for each variant."""

    user: bytes
    value: bytes
    held: Held
    reason: Reason


class LeavingDevice(NamedTuple):
    """A device that gets it now. `terms`: by which its sender holds it back; `silent`: it gets it without sound."""

    device: Device
    terms: QuietTerms | None = None
    silent: bool = False


@dataclass(slots=True)
class GatedUser:
    """The devices of one user. `waiting`: for `reason`, until `due_at`, milliseconds since the epoch. `left`: how many
    get nothing, by reason."""

    leaving: list[LeavingDevice] = field(default_factory=list)
    waiting: list[Device] = field(default_factory=list)
    due_at: int = 0
    reason: Reason = Reason.QUIET_HOURS
    facts: bytes = b""
    left: Counter[str] = field(default_factory=Counter)


class OrderGates:
    """Of one order."""

    def __init__(
        self,
        broadcast: Broadcast,
        order: Order,
        walk_offset: int,
        now_ms: Callable[[], int],
        *,
        quiet: QuietRule = NO_QUIET_HOURS,
        policy: Quiet = Quiet.IGNORE,
        limited: Limited | None = None,
        pace: str = "",
    ) -> None:
        """`policy`: what its class does in quiet hours. `limited`: the caps of the configuration. `pace`: the rate that
        the keeper's release keeps to."""
        if policy is Quiet.DIGEST:
            policy = Quiet.HOLD  # nothing of a broadcast is gathered
        self._policy = Quiet.IGNORE if Override.QUIET_HOURS in broadcast.note.override else policy
        self._broadcast = broadcast
        self._order = order
        self._offset = walk_offset
        self._content = content_of(order.event)
        self._quiet = quiet
        self._now_ms = now_ms
        self._pace = pace
        self._calm = CalmTimes(quiet)
        #: Whether the keeper, who counts for the caps, is asked before any of it leaves.
        self.asks_caps = limited is not None and limited.takes(broadcast.note, None)
        by_app = self._policy is not Quiet.IGNORE and bool(quiet.windows(NO_WISHES, broadcast.app))
        #: Whether it may hold users up who have chosen nothing; else they need not be judged.
        self.concerns_all = self.asks_caps or by_app

    def judge(self, user: str, devices: Sequence[Device], home: Home, wishes: Wishes = NO_WISHES) -> GatedUser:
        """What becomes of these devices of a user, who wants it. `home`: where the user is, by all of the devices."""
        found = GatedUser()
        windows = () if self._policy is Quiet.IGNORE else self._quiet.windows(wishes, self._broadcast.app)
        if windows:
            self._by_quiet_hours(found, user, devices, home, wishes, windows)
        else:
            found.leaving = [LeavingDevice(device) for device in devices]
        if self.asks_caps and found.leaving:
            found.waiting = [*found.waiting, *(each.device for each in found.leaving)]
            found.leaving, found.due_at, found.reason = [], self._now_ms(), Reason.FREQUENCY_CAP
            app = self._broadcast.app
            zone = zone_of_user(app, home, wishes, self._quiet.zone(app))
            found.facts = encode_facts(Limited.facts(self._broadcast.note, zone))
        return found

    def as_decided(self, user: str, devices: Sequence[Device], home: Home, wishes: Wishes = NO_WISHES) -> GatedUser:
        """The same of devices that a predecessor's record leaves out: they leave now, unless a cap holds the user."""
        if self.asks_caps:
            return GatedUser()
        judged = self.judge(user, devices, home, wishes)
        judged.leaving += [LeavingDevice(device) for device in judged.waiting]
        judged.waiting = []
        return judged

    def judge_beside(
        self,
        decided: Set[str],
        variant_of: Callable[[Device], str],
        user: str,
        devices: Sequence[Device],
        home: Home,
        wishes: Wishes,
    ) -> GatedUser:
        """As `judge`, beside records that a predecessor has given to the keeper for the variants `decided`. Each is the
        decision for the variant that it names, and for no other: of a split by device a user has one record for each,
        and a killed process may have written the first alone."""
        if not decided:
            return self.judge(user, devices, home, wishes)
        known: list[Device] = []
        others: list[Device] = []
        for device in devices:
            (known if variant_of(device) in decided else others).append(device)
        found, as_before = self.judge(user, others, home, wishes), self.as_decided(user, known, home, wishes)
        found.leaving += as_before.leaving
        found.left.update(as_before.left)
        return found

    def _by_quiet_hours(
        self,
        found: GatedUser,
        user: str,
        devices: Sequence[Device],
        home: Home,
        wishes: Wishes,
        windows: tuple[QuietHours, ...],
    ) -> None:
        rule, app, now_ms = self._quiet, self._broadcast.app, self._now_ms()
        chosen, later = wishes.quiet_hours(app), list[int]()
        for device in devices:
            zone, _ = place_of(device, home, wishes, rule.zone(app))
            is_calm = self._calm.span(app, zone, self._policy, now_ms, chosen) is not None
            until = None if is_calm else rule.until(windows, zone, user, now_ms)
            if until is None:
                judged = self._policy in (Quiet.HOLD, Quiet.DROP)
                terms = QuietTerms(self._policy, name_of(zone), windows, first_try=True) if judged else None
                found.leaving.append(LeavingDevice(device, terms))
                continue
            verdict = in_quiet_hours(self._policy, until, self._broadcast.note.expires_at)
            if verdict is None:
                found.leaving.append(LeavingDevice(device, silent=True))
            elif isinstance(verdict, Ends):
                found.left[verdict.reason] += 1
            else:
                found.waiting.append(device)
                later.append(until)
        found.due_at = min(later, default=0)

    def record(self, user: str, judged: GatedUser, variant: str, deliveries: Mapping[bytes, Device]) -> KeptPart:
        """What the keeper gets. `deliveries`: of the devices that wait, by delivery id."""
        hashes = b"".join(device.token_hash[1:] for device in deliveries.values())
        ids = b"".join(deliveries)
        waits = HeldBroadcast(self._broadcast.id, user, self._offset, self._content, variant, ids, hashes)
        held = Held(
            self._broadcast.id,
            judged.due_at,
            self._order.recorded_at,
            facts=judged.facts,
            pace=self._pace,
            zoned=not judged.facts,
            broadcast=waits.place,
        )
        return KeptPart(user.encode(), encode_held(waits), held, judged.reason)
