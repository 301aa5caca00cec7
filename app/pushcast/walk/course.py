"""An order on its way through the rows of one partition: what each row becomes. Pure.

It fills a leg, and hands out batches that are full. Rows come in key order, and a user's rows come
together, so that a leg never divides a user.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from functools import partial
from typing import Final, NamedTuple

from pushcast.model.broadcast import Broadcast, Variant
from pushcast.model.device import DeviceState
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import BUCKETS, broadcast_delivery_id
from pushcast.model.instants import Zones
from pushcast.model.preferences import NO_WISHES
from pushcast.model.words import Reason
from pushcast.stream.table import Row
from pushcast.walk.batches import BatchLimits, FullBatch, MessageKind, OpenBatches
from pushcast.walk.holding import GatedUser, KeptPart, LeavingDevice, OrderGates
from pushcast.walk.legs import OpenLeg, OrderWalk
from pushcast.walk.narrowing import UNREADABLE, each_token_once, not_served
from pushcast.walk.predicate import Left, Predicate
from pushcast.wire.devices.device_zones import home_of
from pushcast.wire.devices.devices import row_columns
from pushcast.wire.devices.row_reader import Device, active_device, is_marker
from pushcast.wire.devices.user_rows import wishes_of
from pushcast.wire.events.orders import Order


class Opting(NamedTuple):
    """What a class says of opt-outs: nobody can opt out of it, or it is only for who has said on."""

    mandatory: bool = False
    opt_in: bool = False


NO_OPTING: Final = Opting()
_PLAIN: Final = MessageKind()


class Course:
    """One order of one lane. `max_targets`, `max_bytes`: of one send batch."""

    def __init__(
        self,
        lane: str,
        walk: OrderWalk,
        order: Order,
        broadcast: Broadcast,
        max_targets: int,
        max_bytes: int,
        *,
        now_ms: Callable[[], int],
        opting: Opting = NO_OPTING,
        holding: OrderGates | None = None,
        silent_channel: str | None = None,
        counted: bool = False,
    ) -> None:
        """`holding`: its quiet hours and caps; a count has none. `silent_channel`: Android's, for those who get it
        without sound. `counted`: by frequency caps, whoever asks them."""
        self.walk = walk
        self.order = order
        self.broadcast = broadcast
        self.served: frozenset[bytes] | None = None if broadcast.not_to else frozenset()  # None: to be read first
        self._zones = Zones(broadcast) if broadcast.instants and broadcast.step else None
        note = broadcast.note
        self._whole = Variant("", BUCKETS, note)
        self._predicate = Predicate(
            broadcast.audience, app=broadcast.app, push_type=note.options.push_type, horizon_ms=order.recorded_at
        )
        self._app = broadcast.app.encode()
        limits = BatchLimits(max_targets, max_bytes)
        self._batches = OpenBatches(
            lane, walk.offset, broadcast, limits, silent_channel=silent_channel, counted=counted
        )
        self._opting = opting
        self._holding = holding
        #: Whether a user without rows of his own gets it with all of his devices, whoever he is: most broadcasts say
        #: nothing that would have to be asked of each.
        self._asks_nobody = not (
            broadcast.stepped
            or self._zones is not None
            or broadcast.split is not None
            or broadcast.not_to is not None
            or opting.opt_in
            or (holding is not None and holding.concerns_all)
        )
        self._now_ms = now_ms
        self._kept: list[KeptPart] = []

    @property
    def looks_at_rows(self) -> bool:
        """False: one call of `take` is all of it."""
        return self.broadcast.via is None

    def take(self, leg: OpenLeg, rows: Sequence[Row]) -> Iterator[FullBatch]:
        """Tests rows, in key order, whole users; the batches that they fill."""
        leg.scanned += len(rows)
        may_pass, app = self._predicate.may_pass, self._app
        plan = self._plan_usual if self._asks_nobody and not self.walk.owes else self._plan
        user: bytes | None = None
        mine: list[Row] = []
        noted, own_rows = b"", list[Row]()  # of a user itself: they come before those of its devices
        wishes: Sequence[Row] = ()
        for row in rows:
            key, value = row
            if not key[-1]:  # of the user, not of a device
                owner, _, rest = key.partition(b"\0")
                if rest[:-1] in (b"", app):
                    own_rows = [*own_rows, row] if owner == noted else [row]
                    noted = owner
                continue
            if not may_pass(value):
                continue
            owner, _, rest = key.partition(b"\0")
            its_app, _, device = rest.partition(b"\0")
            if its_app != app or not device:  # another app's, or a row of none
                continue
            if owner != user:
                if user is not None:
                    yield from plan(leg, user, mine, wishes, rows)
                user, mine, wishes = owner, [], own_rows if owner == noted else ()
            mine.append(row)
        if user is not None:
            yield from plan(leg, user, mine, wishes, rows)
        if rows:
            leg.to_user = rows[-1][0].partition(b"\0")[0]

    def _plan_usual(
        self, leg: OpenLeg, owner: bytes, rows: Sequence[Row], own_rows: Sequence[Row], around: Sequence[Row]
    ) -> Sequence[FullBatch] | Iterator[FullBatch]:
        """As `_plan`, of which a user with one device, of whom nothing else is known, needs little."""
        if len(rows) == 1 and not own_rows:
            try:
                device = active_device(*rows[0])
                takes = device is not None and self._predicate.takes_quickly(device)
            except InvalidInput:
                takes = False
            if takes and device is not None:
                leg.matched += 1
                leg.users += 1
                leg.planned[device.platform] += 1
                if self.order.count_only:
                    return ()
                full = self._batches.add(self.broadcast.note, _PLAIN, owner, device)
                return () if full is None else (full,)
        return self._plan(leg, owner, rows, own_rows, around)

    def _plan(
        self, leg: OpenLeg, owner: bytes, rows: Sequence[Row], own_rows: Sequence[Row], around: Sequence[Row]
    ) -> Iterator[FullBatch]:
        """`rows`: of the user, those that may be of the audience. `around`: all rows, the user's among them."""
        user = owner.decode()
        if self.broadcast.stepped and not self.broadcast.in_step(user):
            return
        devices: list[Device] = []
        for key, value in rows:
            try:
                if self._zones is not None and not self._zones.takes(row_columns(value)):
                    continue
                device = active_device(key, value)
                if device is not None and self._predicate.takes_quickly(device):
                    leg.matched += 1
                    devices.append(device)
                    continue
                if device is None and is_marker(value):
                    continue
                columns = row_columns(value)
                if columns["state"] == DeviceState.GONE:
                    continue  # no device any more
                left = self._predicate.left(user, columns)
            except InvalidInput:
                leg.left[UNREADABLE] += 1
                leg.matched += 1
                continue
            if left is Left.AUDIENCE:
                continue
            leg.matched += 1
            if device is None or left is not None:
                leg.left[left or UNREADABLE] += 1
            else:
                devices.append(device)
        if devices and (unwanted := self._unwanted(leg, own_rows)) is not None:
            leg.left[unwanted] += len(devices)
            return
        if len(devices) > 1:
            devices = each_token_once(leg, devices)
        if self.served and self.broadcast.not_to is not None:
            devices = not_served(leg, devices, self.broadcast.not_to.broadcast, self.served)
        there = self.walk.there(owner)
        if there:
            # What a predecessor has planned, or given to the keeper, the end of the leg counts.
            served = {planned.token_hash for planned in there.values()}
            devices = [
                device
                for device in devices
                if device.token_hash not in served and broadcast_delivery_id(self.broadcast.id, device.key) not in there
            ]
        before = leg.planned.total() + leg.kept
        if self._holding is None or not (own_rows or self._holding.concerns_all):
            for device in devices:
                if (full := self._target(leg, owner, user, LeavingDevice(device))) is not None:
                    yield full
        elif devices:
            wishes = wishes_of(own_rows, lambda _: None) if own_rows else NO_WISHES  # what cannot be read was counted
            decided, home = self.walk.kept(owner), partial(_home, owner, around)
            judged = self._holding.judge_beside(decided, partial(self._name, user), user, devices, home, wishes)
            leg.left.update(judged.left)
            for leaving in judged.leaving:
                if (full := self._target(leg, owner, user, leaving)) is not None:
                    yield full
            if judged.waiting:
                self._keep(leg, self._holding, user, judged)
        if there or leg.planned.total() + leg.kept > before:
            leg.users += 1

    def _keep(self, leg: OpenLeg, holding: OrderGates, user: str, judged: GatedUser) -> None:
        """Gives what waits of a user to the keeper."""
        by_variant: dict[str, dict[bytes, Device]] = {}
        for device in judged.waiting:
            variant = self._variant(leg, user, device)
            if variant is not None:
                delivery_id = broadcast_delivery_id(self.broadcast.id, device.key)
                by_variant.setdefault(variant.name, {})[delivery_id] = device
        self._kept += [holding.record(user, judged, name, waits) for name, waits in by_variant.items()]
        leg.kept += len(by_variant)

    def take_kept(self) -> list[KeptPart]:
        """Records for the keeper since it was asked last."""
        found, self._kept = self._kept, []
        return found

    def _unwanted(self, leg: OpenLeg, own_rows: Sequence[Row]) -> Reason | None:
        """Why the user does not want it. What nobody can read says nothing, and is counted."""
        if not own_rows and not self._opting.opt_in:
            return None
        wishes = wishes_of(own_rows, lambda _: leg.left.update((UNREADABLE,)))
        note, opting = self.broadcast.note, self._opting
        return wishes.unwanted(
            self.broadcast.app,
            note.klass,
            note.options.thread_id,
            self._now_ms(),
            mandatory=opting.mandatory,
            opt_in=opting.opt_in,
        )

    def _name(self, user: str, device: Device) -> str:
        split = self.broadcast.split
        variant = self._whole if split is None else split.of(user, device.key)
        return "" if variant is None else variant.name

    def _variant(self, leg: OpenLeg, user: str, device: Device) -> Variant | None:
        """What of a split a device gets, counted; None: it is held out. Without a split a variant without a name."""
        split = self.broadcast.split
        if split is None:
            return self._whole
        variant = split.of(user, device.key)
        if variant is None:
            leg.held_out += 1
        else:
            leg.variants[variant.name] += 1
        return variant

    def _target(self, leg: OpenLeg, owner: bytes, user: str, leaving: LeavingDevice) -> FullBatch | None:
        """Plans a device, unless it is held out; the batch that is full."""
        device, terms, silent = leaving
        variant = self._variant(leg, user, device)
        if variant is None:
            return None
        leg.planned[device.platform] += 1
        if self.order.count_only:
            return None
        kind = MessageKind(variant.name, terms, silent) if variant.name or terms is not None or silent else _PLAIN
        return self._batches.add(variant.note, kind, owner, device)

    def close_all(self) -> list[FullBatch]:
        """What is open, at the end of a leg."""
        return self._batches.close_all()


def _home(owner: bytes, around: Sequence[Row]) -> tzinfo | None:
    """Where a user is. `around`: rows in key order, all of the user's among them."""
    first = bisect_left(around, (owner + b"\0",))
    return home_of(around[first : bisect_left(around, (owner + b"\1",), first)])
