"""An order on its way through the rows of one partition: what each row becomes. Pure.

It fills a leg, and hands out batches that are full. Rows come in key order, and a user's rows come
together, so that a leg never divides a user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from pushcast.model.broadcast import Broadcast
from pushcast.model.device import DeviceState
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import broadcast_delivery_id
from pushcast.model.instants import Zones
from pushcast.model.notification import Notification
from pushcast.model.preferences import NO_WISHES
from pushcast.model.quiet import Quiet, QuietRule, QuietTerms
from pushcast.model.quiet_notes import judged_by
from pushcast.model.words import Reason, Source
from pushcast.model.zones import name_of, zone_of
from pushcast.stream.table import Row
from pushcast.walk.legs import OpenLeg, OrderWalk
from pushcast.walk.predicate import Left, Predicate
from pushcast.wire.avro_bytes import bytes_of, long_of
from pushcast.wire.batch_writer import (
    BATCH_OVERHEAD_BYTES,
    CONTENT_KEY_OVERHEAD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    TARGET_OVERHEAD_BYTES,
    MessageWriter,
    batch_of,
    broadcast_columns,
)
from pushcast.wire.devices import row_columns
from pushcast.wire.message_head import head_of
from pushcast.wire.orders import Order
from pushcast.wire.row_reader import Device, active_device
from pushcast.wire.row_tail import locale_of, registered_at_ms, time_zone_of
from pushcast.wire.user_rows import wishes_of

#: Reasons of devices that match and are not planned, beside those of the predicate.
SAME_TOKEN: Final = "same_token"  # noqa: S105 - a reason: another row of the user has the token, and is newer
UNREADABLE: Final = "unreadable"  # a row of another release, or a broken one
NOT_TO: Final = "not_to"  # it had the broadcast that this one leaves out
_MAX_HEADS: Final = 1_000  # of variants and locales that are kept encoded


class Opting(NamedTuple):
    """What a class says of opt-outs: nobody can opt out of it, or it is only for who has said on."""

    mandatory: bool = False
    opt_in: bool = False


NO_OPTING: Final = Opting()
#: Of a configuration without quiet hours.
NO_QUIET_HOURS: Final = QuietRule({}, 0)
#: Variant of the split, locale, and quiet hours: targets that are alike in these share a message.
_Kind = tuple[str, str | None, QuietTerms | None]
#: Milliseconds since the epoch.
NowMs = Callable[[], int]


class FullBatch(NamedTuple):
    """A send batch that is ready to be written."""

    platform: str
    value: bytes
    targets: int


class _Batch:
    """Targets of one platform that become one record."""

    __slots__ = ("messages", "size", "targets")

    def __init__(self) -> None:
        self.messages: dict[_Kind, MessageWriter] = {}
        self.targets = 0
        self.size = BATCH_OVERHEAD_BYTES


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
        now_ms: NowMs,
        opting: Opting = NO_OPTING,
        quiet: QuietRule = NO_QUIET_HOURS,
        policy: Quiet = Quiet.IGNORE,
    ) -> None:
        """`policy`: what its class does in quiet hours."""
        self.walk = walk
        self.order = order
        self.broadcast = broadcast
        self.served: frozenset[bytes] | None = None if broadcast.not_to else frozenset()  # None: to be read first
        self._zones = Zones(broadcast) if broadcast.instants and broadcast.step else None
        note = broadcast.note
        self._predicate = Predicate(
            broadcast.audience, app=broadcast.app, push_type=note.options.push_type, horizon_ms=order.recorded_at
        )
        self._lane = lane
        self._max_targets = max_targets
        self._max_bytes = max_bytes
        self._app = broadcast.app.encode()
        self._id = bytes_of(note.id.encode())
        self._offset = long_of(walk.offset)
        self._expires_at = long_of(note.expires_at)
        self._opting = opting
        self._quiet = quiet
        if policy is Quiet.DIGEST:
            policy = Quiet.HOLD  # nothing of a broadcast is gathered
        self._policy = policy if policy in (Quiet.HOLD, Quiet.DROP) else Quiet.IGNORE
        self._now_ms = now_ms
        self._open: dict[str, _Batch] = {}
        self._heads: dict[_Kind, tuple[bytes, str | None]] = {}

    @property
    def looks_at_rows(self) -> bool:
        """False: one call of `take` is all of it."""
        return self.broadcast.via is None

    def take(self, leg: OpenLeg, rows: Sequence[Row]) -> Iterator[FullBatch]:
        """Tests rows, in key order, whole users; the batches that they fill."""
        leg.scanned += len(rows)
        may_pass, app = self._predicate.may_pass, self._app
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
                if mine and user is not None:
                    yield from self._plan(leg, user, mine, wishes)
                user, mine, wishes = owner, [], own_rows if owner == noted else ()
            mine.append(row)
        if mine and user is not None:
            yield from self._plan(leg, user, mine, wishes)
        if rows:
            leg.to_user = rows[-1][0].partition(b"\0")[0]

    def _plan(self, leg: OpenLeg, owner: bytes, rows: Sequence[Row], own_rows: Sequence[Row]) -> Iterator[FullBatch]:
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
            devices = self._each_token_once(leg, devices)
        if self.served:
            devices = self._not_served(leg, devices, self.served)
        there = self.walk.there(owner)
        served = {planned.token_hash for planned in there.values()} if there else ()
        before = leg.planned.total()
        for device in devices:
            delivery_id = broadcast_delivery_id(self.broadcast.id, device.key)
            if there and (delivery_id in there or device.token_hash in served):
                continue  # a predecessor has planned it, and the end of the leg counts it
            terms = None if self._policy is Quiet.IGNORE else self._terms(device, own_rows)
            yield from self._target(leg, owner, user, device, delivery_id, terms)
        if there or leg.planned.total() > before:
            leg.users += 1

    def _terms(self, device: Device, own_rows: Sequence[Row]) -> QuietTerms | None:
        """By which a sender holds it back in quiet hours: when it comes to it, and not when this row is walked past."""
        wishes = wishes_of(own_rows, lambda _: None) if own_rows else NO_WISHES  # what cannot be read was counted
        app = self.broadcast.app
        windows = self._quiet.windows(wishes, app)
        if not windows:
            return None
        names = time_zone_of(device), wishes.time_zone(app)
        zone = next((name for name in names if name is not None and zone_of(name) is not None), None)
        return QuietTerms(self._policy, zone or name_of(self._quiet.zone(app)), windows, first_try=True)

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

    def _each_token_once(self, leg: OpenLeg, devices: list[Device]) -> list[Device]:
        """Two device ids with one token are one phone: the newest row keeps it, as for a notification."""
        newest: dict[bytes, Device] = {}
        for device in sorted(devices, key=lambda each: (registered_at_ms(each), each.key)):
            newest[device.token_hash] = device
        leg.left[SAME_TOKEN] += len(devices) - len(newest)
        keep = {device.key for device in newest.values()}
        return [device for device in devices if device.key in keep]

    def _not_served(self, leg: OpenLeg, devices: list[Device], served: frozenset[bytes]) -> list[Device]:
        earlier = self.broadcast.not_to.broadcast if self.broadcast.not_to else ""
        left = [device for device in devices if broadcast_delivery_id(earlier, device.key) not in served]
        leg.left[NOT_TO] += len(devices) - len(left)
        return left

    def _target(
        self,
        leg: OpenLeg,
        owner: bytes,
        user: str,
        device: Device,
        delivery_id: bytes,
        terms: QuietTerms | None = None,
    ) -> Iterator[FullBatch]:
        note, name = self.broadcast.note, ""
        if self.broadcast.split is not None:
            variant = self.broadcast.split.of(user, device.key)
            if variant is None:
                leg.held_out += 1
                return
            note, name = variant.note, variant.name
            leg.variants[name] += 1
        leg.planned[device.platform] += 1
        if self.order.count_only:
            return
        batch = self._open.get(device.platform)
        cost = len(owner) + TARGET_OVERHEAD_BYTES + device.size
        if note.sealing is not None:
            cost += CONTENT_KEY_OVERHEAD_BYTES
        if batch is not None and (batch.targets >= self._max_targets or batch.size + cost > self._max_bytes):
            yield self._close(device.platform)
            batch = None
        if batch is None:
            batch = self._open[device.platform] = _Batch()
        locale = note.content.variant(locale_of(device)) if note.content.locales else None
        message = batch.messages.get((name, locale, terms))
        if message is None:
            message = batch.messages[name, locale, terms] = self._message(note, name, locale, terms)
            batch.size += MESSAGE_OVERHEAD_BYTES + len(note.content_key) + len(self._id)
        index = message.index_of(self._id, note.created_at, note.trace or "")
        message.add(index, bytes_of(owner), device, delivery_id, self._offset, self._expires_at)
        batch.targets += 1
        batch.size += cost

    def _message(self, note: Notification, name: str, locale: str | None, terms: QuietTerms | None) -> MessageWriter:
        head = self._heads.get((name, locale, terms))
        if head is None:
            head = head_of(judged_by(note, terms), self.broadcast.app, locale)
            if len(self._heads) < _MAX_HEADS:
                self._heads[name, locale, terms] = head
        columns = broadcast_columns(self.broadcast.id, name or None, note.campaign, self.broadcast.due_at)
        return MessageWriter(*head, columns, keyed=note.sealing is not None)

    def _close(self, platform: str) -> FullBatch:
        batch = self._open.pop(platform)
        value = batch_of(self._lane, platform, batch.messages.values(), Source.WALK)
        return FullBatch(platform, value, batch.targets)

    def close_all(self) -> list[FullBatch]:
        """What is open, at the end of a leg."""
        return [self._close(platform) for platform in list(self._open)]
