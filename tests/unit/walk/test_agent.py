"""WALK as a stage: what ends, holds and slows a walk, and what its leg records say."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.model.broadcast import NotTo
from pushcast.model.clock import ManualClock
from pushcast.model.device import DeviceRow
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.model.quiet import DAYS
from pushcast.model.words import Lane, Platform
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Tracker
from pushcast.walk.agent import WalkStage
from pushcast.walk.exact import build_handover
from pushcast.walk.slices import rows_until
from pushcast.walk.waits import LOOK_SECONDS
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg, decode_leg, rows_of
from pushcast.wire.control.control import Halt, Kind, Name, Rate, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.orders import Order, encode_order, next_step, sampled
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.held import held_of
from twins.handover import Log, Process
from twins.kafka import OPEN, ManualTimers, TwinTable, record, settled

PARTITION, LANE = 3, Lane.BULK
SOURCE = TP(topics.walk(LANE), PARTITION)
T0 = 1_790_000_000_000
USERS = 40
ORIGIN = h.origin("spread-bulk", 0, 7)


class Harness(Process):
    """A planner's walks over 40 devices; what it writes is acknowledged at once, and senders take all or nothing."""

    def __init__(self, *, partitions: int = 1, app: Mapping[str, Any] | None = None, **limits: Any) -> None:
        super().__init__(Log(PARTITION))
        broadcast = {"slice_rows": 16, "leg_targets": 100, **limits}
        sections = {
            "apps": {"news": app or {}},
            "plan": {"max_targets": 5},
            "kafka": {"partitions": partitions},
            "broadcast": broadcast,
        }
        settings = Settings.model_validate(sections)
        self.clock = ManualClock(T0)
        self.control = ControlState()
        self.table = TwinTable()
        self.register(0, USERS)
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.fatal: list[tuple[str, BaseException]] = []
        self.counters: Counter[tuple[str, str]] = Counter()
        self.taken = 10**9  # where the senders stand
        self.had: frozenset[bytes] = frozenset()  # deliveries of the broadcast that `not_to` names
        self.table_end = 0  # of the devices topic
        self.busy = False  # notifications wait
        self.slept: list[float] = []
        self.cpu: Iterator[float] = itertools.repeat(0.0)  # what the walk's thread has used, at each look
        handover = build_handover(settings, LANE, cast(Any, self), self.clock)
        handover._reader = cast(Any, self.world)
        self.stage = WalkStage(
            settings,
            LANE,
            cast(Any, self.table),
            cast(Any, self),
            self.clock,
            handover=handover,
            control=self.control,
            senders=cast(Any, self),
            served=self.served,
            fatal=lambda what, error: self.fatal.append((what, error)),
            counters=self.counters,
            call_later=self.timers,
            sleep=self.sleep,
            cpu_seconds=lambda: next(self.cpu),
        )
        self.stage.work = cast(Any, self)
        self.tracker = Tracker(0, OPEN)
        self.orders = 0

    def register(self, first: int, end: int) -> None:
        for user in range(first, end):
            fixed = ("news", "d", "apns", "token", b"t%d" % user, "", b"%016d" % user, "active", T0 - 5, T0 - 5)
            self.table.rows[PARTITION][device_row_key(f"u-{user:03}", "news", "d")] = encode_row(DeviceRow(*fixed))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def served(self, partition: int, not_to: NotTo) -> frozenset[bytes]:
        return self.had

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        return True

    async def committed(self, partitions: list[int]) -> Mapping[int, Mapping[str, int]]:
        return {PARTITION: {str(platform): self.taken for platform in Platform}}

    async def ends(self, partitions: Iterable[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, self.table_end)

    def waits_beside(self, partition: int) -> bool:
        return self.busy

    async def start(self) -> Harness:
        task = asyncio.create_task(self.stage.assigned({SOURCE: Committed(None, "")}))
        while not task.done():
            await self.settle()
        await task
        return self

    async def settle(self) -> None:
        for _ in range(40):
            await settled()
            while self.pending:
                self.acknowledge()
                await settled()
        assert not self.fatal, self.fatal

    async def order(self, *, reason: str = "", headers: Any = ORIGIN, count_only: bool = False, **fields: Any) -> None:
        times = {"created_at": T0, "expires_at": T0 + 3_600_000}
        event = {"id": "b-1", "app": "news", "title": "x", "audience": {"all": True}, **times, **fields}
        event["count_only"] = count_only
        order = Order("b-1", "cluster/topic", self.orders, T0, count_only, reason, json.dumps(event).encode())
        await self.feed(encode_order(order), headers)

    async def feed(self, value: bytes, headers: Any = ORIGIN) -> None:
        source = record(SOURCE.topic, PARTITION, self.orders, None, value, headers, T0)
        self.orders += 1
        segment = self.tracker.hand_over([source], self.tracker.arrive([source]))
        await self.stage.handle(Batch(SOURCE, self.tracker, segment, lambda: None))
        await self.settle()

    async def pass_time(self, seconds: float, steps: int = 1) -> None:
        for _ in range(steps):
            self.clock.advance(seconds / steps)
            self.timers.fire()
            await self.settle()

    def legs(self) -> list[Leg]:
        return [decode_leg(each.value() or b"") for each in self.world.valid(topics.WALKED)]

    def planned(self) -> int:
        return sum(leg.planned for leg in self.legs())

    def halt(self, kind: Kind, *, over: bool = False) -> None:
        self.control.apply(Name(kind, "b-1").key(), None if over else encode(Halt(since_ms=1)))


async def test_a_walk_is_done_when_its_last_leg_is_acknowledged() -> None:
    harness = await Harness().start()
    await harness.order()
    assert harness.tracker.low == 1
    [leg] = harness.legs()
    assert (leg.planned, leg.scanned, leg.matched, leg.last, leg.reason) == (USERS, USERS, USERS, True, None)
    assert (leg.from_user, leg.to_user, leg.elapsed_from) == ("", "u-039", T0)
    assert (leg.users, leg.expires_at) == (USERS, T0 + 3_600_000)
    assert harness.counters["targets", "apns"] == USERS


async def test_a_leg_ends_after_so_many_deliveries() -> None:
    harness = await Harness(leg_targets=100).start()
    harness.register(USERS, 250)
    await harness.order()
    legs = harness.legs()
    assert len(legs) == 3
    assert [leg.leg for leg in legs] == [0, 1, 2]
    assert [leg.from_user for leg in legs[1:]] == [leg.to_user for leg in legs[:-1]]
    assert [leg.rows_before for leg in legs] == [0, legs[0].scanned, legs[0].scanned + legs[1].scanned]
    assert [rows_of(each.headers()) for each in harness.world.valid(topics.WALKED)] == [250, 250, 250]
    assert harness.planned() == 250


async def test_fact_17_an_order_with_a_reason_is_planned_to_nothing() -> None:
    harness = await Harness().start()
    await harness.order(reason="duplicate")
    [leg] = harness.legs()
    assert (leg.planned, leg.scanned, leg.last, leg.reason) == (0, 0, True, "duplicate")
    assert harness.tracker.low == 1


async def test_an_expired_broadcast_ends_as_expired() -> None:
    harness = await Harness().start()
    harness.clock.advance(3_600)
    await harness.order()
    [leg] = harness.legs()
    assert (leg.planned, leg.last, leg.reason) == (0, True, "expired")


async def test_fact_22_a_stop_ends_a_held_walk_with_what_was_planned() -> None:
    harness = await Harness().start()
    harness.halt(Kind.HOLD)
    await harness.order()
    assert harness.tracker.low == 0
    harness.halt(Kind.STOP)
    await harness.pass_time(LOOK_SECONDS)
    [leg] = harness.legs()
    assert (leg.planned, leg.last, leg.reason) == (0, True, "broadcast_stopped")
    assert harness.tracker.low == 1


async def test_fact_23_a_hold_that_is_over_leaves_the_same_sums() -> None:
    harness = await Harness().start()
    harness.halt(Kind.HOLD)
    await harness.order()
    await harness.pass_time(60, steps=30)
    assert harness.planned() == 0
    harness.halt(Kind.HOLD, over=True)
    await harness.pass_time(LOOK_SECONDS)
    assert (harness.planned(), harness.tracker.low) == (USERS, 1)


async def test_fact_23_a_hold_past_the_expiry_ends_as_expired() -> None:
    harness = await Harness().start()
    harness.halt(Kind.HOLD)
    await harness.order(expires_at=T0 + 10_000)
    await harness.pass_time(11, steps=20)
    assert [(leg.last, leg.reason) for leg in harness.legs()] == [(True, "expired")]


async def test_fact_27_a_walk_waits_for_the_senders_and_goes_on() -> None:
    harness = await Harness(max_ahead_targets=100, leg_targets=1_000).start()
    harness.register(USERS, 400)
    harness.taken = 0
    await harness.order()
    await harness.pass_time(5, steps=10)
    assert 100 < harness.counters["targets", "apns"] <= 130, "and what one slice planned beyond the bound"
    assert harness.tracker.low == 0
    harness.taken = 10**9
    await harness.pass_time(10, steps=40)
    assert (harness.planned(), harness.tracker.low) == (400, 1)


async def test_a_paced_walk_is_as_far_as_its_time() -> None:
    harness = await Harness().start()
    await harness.order(pace={"over_seconds": 40})
    await harness.pass_time(20, steps=200)
    planned = harness.counters["targets", "apns"]
    assert USERS // 2 - 5 <= planned <= USERS // 2 + 5
    await harness.pass_time(21, steps=100)
    assert (harness.planned(), harness.tracker.low) == (USERS, 1)


async def test_a_class_with_a_rate_holds_its_broadcasts_to_it_and_an_operator_may_end_it() -> None:
    harness = await Harness().start()
    harness.control.apply(Name(Kind.PACE, "spring").key(), encode(Rate(600)))
    await harness.order(campaign="spring")
    await harness.pass_time(2, steps=40)
    assert 15 <= harness.counters["targets", "apns"] <= 25, "600 a minute, and one partition"
    harness.control.apply(Name(Kind.PACE, "spring").key(), None)
    await harness.pass_time(2, steps=10)
    assert (harness.planned(), harness.tracker.low) == (USERS, 1)


@pytest.mark.parametrize(
    ("rate", "campaign", "pace"),
    [({"per_minute": 600}, None, "app/news"), ({}, "spring", "campaign/spring"), ({}, None, "")],
)
async def test_what_of_a_broadcast_waits_with_the_keeper_keeps_to_its_rate_there_an_apps_too(
    rate: dict[str, Any], campaign: str | None, pace: str
) -> None:
    """At T0 it is 14:13."""
    quiet = [{"days": list(DAYS), "from": "12:00", "to": "14:30"}]
    harness = await Harness(app={"quiet_hours": quiet, **rate}).start()
    harness.control.apply(Name(Kind.PACE, "spring").key(), encode(Rate(600_000)))
    await harness.order(campaign=campaign)
    await harness.pass_time(20, steps=100)
    kept = [held_of(each.headers() or ()) for each in harness.world.valid(topics.keep(LANE))]
    assert kept
    assert {held.pace for held in kept} == {pace}


async def test_fact_21_a_count_writes_legs_and_nothing_else_and_waits_for_nobody() -> None:
    harness = await Harness().start()
    harness.halt(Kind.STOP)
    await harness.order(count_only=True)
    [leg] = harness.legs()
    assert (leg.planned, leg.count_only, leg.last) == (USERS, True, True)
    assert not [each for each in harness.world.log if each.topic.startswith("push.send") and each.value is not None]


async def test_an_order_that_this_process_cannot_read_ends_and_is_a_dead_letter() -> None:
    harness = await Harness().start()
    unknown: dict[str, Any] = {"class": "unknown here"}
    await harness.order(**unknown)
    [leg] = harness.legs()
    assert (leg.planned, leg.last, leg.reason) == (0, True, "unknown_class")
    await harness.feed(b"\xff nobody's")
    letters = [each for each in harness.world.log if each.topic == SOURCE.topic + ".dlq"]
    assert (len(letters), harness.tracker.low) == (2, 2)


@pytest.mark.parametrize("event", [b"", b"no JSON", b'{"id": "b-1"}', b'{"expires_at": null}', b"[" * 2000])
async def test_an_order_whose_event_is_nobodys_is_a_dead_letter_and_does_not_end_the_planner(event: bytes) -> None:
    """It ended with the leg that says so, because a leg names the step, and so did every owner after it."""
    harness = await Harness().start()
    await harness.feed(encode_order(Order("b-1", "cluster/topic", 0, T0, False, "", event)), ())
    letters = [each for each in harness.world.log if each.topic == SOURCE.topic + ".dlq"]
    assert (harness.legs(), len(letters), harness.tracker.low) == ([], 1, 1)


async def test_copies_and_void_orders_are_walked_past() -> None:
    harness = await Harness().start()
    await harness.order(headers=[*ORIGIN, (h.FENCE, b"1")])  # a fence has no value, but an epoch
    await harness.order(headers=h.origin("spread-bulk", 0, 6))
    harness.orders = 2
    assert harness.legs() == []
    assert (harness.counters["void_orders", ""], harness.tracker.low) == (1, 2)


async def test_while_notifications_wait_a_walk_has_a_tenth_of_the_time() -> None:
    harness = await Harness(min_share=0.1).start()
    read = harness.table.rows_after

    def slowly(partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        harness.clock.advance(0.002)
        return read(partition, key, limit)

    harness.table.rows_after = slowly  # type: ignore[method-assign]
    harness.busy = True
    await harness.order()
    assert harness.planned() == USERS
    assert {round(seconds, 6) for seconds in harness.slept} == {0, 0.018}
    harness.slept.clear()
    harness.busy = False
    await harness.order(id="b-2")
    assert set(harness.slept) == {0}


@pytest.mark.parametrize(("cpu", "clock", "slices"), [(0.01, 0.0, 3), (0.0, 0.01, 2)])
async def test_a_slice_becomes_smaller_by_the_cpu_that_it_takes_and_not_by_the_clock(
    cpu: float, clock: float, slices: int
) -> None:
    """40 users in slices of 20, or of the fewest there are, 16."""
    harness = await Harness(slice_rows=20).start()
    harness.cpu = itertools.count(0.0, cpu)
    read, sizes = harness.table.rows_after, list[int]()

    def noted(partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        harness.clock.advance(clock)
        sizes.append(limit)
        return read(partition, key, limit)

    harness.table.rows_after = noted  # type: ignore[method-assign]
    await harness.order()
    assert harness.planned() == USERS
    assert set(sizes[1:]) == {16 if cpu else 20}
    assert len(sizes) >= slices


async def together(slice_rows: int, changing: bool = False) -> tuple[Harness, int]:
    """Two walks that begin at once; and how often rows were read."""
    harness = await Harness(slice_rows=slice_rows).start()
    harness.halt(Kind.HOLD)
    await harness.order()
    await harness.order(id="b-2")
    read, reads = harness.table.rows_after, 0

    def counted(partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        nonlocal reads
        reads += 1
        harness.table.at += changing
        return read(partition, key, limit)

    harness.table.rows_after = counted  # type: ignore[method-assign]
    harness.halt(Kind.HOLD, over=True)
    await harness.pass_time(LOOK_SECONDS)
    assert (harness.planned(), harness.tracker.low) == (2 * USERS, 2)
    return harness, reads


async def test_two_walks_at_one_place_read_its_rows_once() -> None:
    alone = await Harness(slice_rows=16).start()
    await alone.order()
    harness, reads = await together(16)
    _, reads_of_changing = await together(16, changing=True)
    assert reads < reads_of_changing, "rows that may have changed are read again"
    assert [(leg.scanned, leg.users) for leg in harness.legs()] == 2 * [
        (leg.scanned, leg.users) for leg in alone.legs()
    ]


async def test_a_walk_that_catches_up_with_another_goes_on_with_it() -> None:
    harness = await Harness(slice_rows=16).start()
    read, after = harness.table.rows_after, list[bytes]()
    place = b"u-014\0\xff"  # behind the first slice

    def noted(partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        if not after:
            harness.halt(Kind.HOLD)  # the first walk stands still from here on
        elif key == place:
            harness.halt(Kind.HOLD, over=True)  # until the second one is there
        after.append(key)
        return read(partition, key, limit)

    harness.table.rows_after = noted  # type: ignore[method-assign]
    await harness.order()
    # Of users who have come meanwhile the second walk's slices end elsewhere.
    for user in ("u-0001", "u-0002", "u-0003"):
        fixed = ("news", "d", "apns", "token", user.encode(), "", b"%16b" % user.encode(), "active", T0 - 5, T0 - 5)
        harness.table.rows[PARTITION][device_row_key(user, "news", "d")] = encode_row(DeviceRow(*fixed))
    await harness.order(id="b-2", count_only=True)  # a count is not held
    assert place in after
    assert sum(leg.matched for leg in harness.legs()) == 2 * USERS + 3
    together = after[after.index(place) :]
    assert len(set(together)) == len(together), "a stretch was read by each of them"


@pytest.mark.parametrize(
    ("places", "users"),
    [
        ([], "abcd"),
        ([b""], "abcd"),
        ([b"0"], "abcd"),
        ([b"d"], "abcd"),
        ([b"z"], "abcd"),
        ([b"c", b"b", b"z"], "aab"),
        ([b"bb"], "aabbc"),
    ],
)
def test_a_slice_ends_where_another_walk_stands(places: list[bytes], users: str) -> None:
    keys = [b"a\0news\0d", b"a\0news\0e", b"b\0news\0d", b"bb\0news\0d", b"c\0news\0d", b"d\0news\0d"]
    met = rows_until([(key, b"") for key in keys], places)
    expected = {"abcd": keys, "aab": keys[:3], "aabbc": keys[:4]}[users]
    assert [key for key, _ in met] == expected


async def test_a_resend_waits_for_who_had_the_first_one() -> None:
    harness = await Harness().start()
    harness.had = frozenset(
        broadcast_delivery_id("b-0", device_row_key(f"u-{user:03}", "news", "d")) for user in range(10)
    )
    await harness.order(not_to={"broadcast": "b-0", "since_ms": T0})
    [leg] = harness.legs()
    assert (leg.matched, leg.planned, leg.reasons) == (USERS, USERS - 10, {"not_to": 10})


async def test_the_legs_of_a_step_say_so_and_count_from_its_decision() -> None:
    harness = await Harness().start()
    steps = [{"share": 5_000}, {"share": 10_000}]
    times = {"created_at": T0, "expires_at": T0 + 3_600_000}
    event = {"id": "b-1", "app": "news", "title": "x", "audience": {"all": True}, **times, "steps": steps, "step": 0}
    first = Order("b-1", "cluster/topic", 0, T0, False, "", json.dumps(event).encode())
    for order in (first, next_step(first, T0 + 7, ""), next_step(first, T0 + 7, "")):
        await harness.feed(encode_order(order))
    legs = harness.legs()
    assert [(leg.step, leg.elapsed_from, leg.last) for leg in legs] == [(0, T0, True), (1, T0 + 7, True)]
    assert harness.planned() == USERS
    assert harness.tracker.low == 3  # the copy of the second step is walked past


async def test_a_quick_count_walks_one_partition() -> None:
    this_one = next(partitions for partitions in range(4, 100) if sampled("b-1", partitions) == PARTITION)
    for partitions, scanned in ((1, 0), (this_one, USERS)):
        harness = await Harness(partitions=partitions).start()
        await harness.order(count_only=True, quick=True)
        [leg] = harness.legs()
        assert (leg.last, leg.reason, leg.scanned) == (True, None, scanned)


async def test_bad_input_a_table_that_is_rebuilt_is_waited_for() -> None:
    harness = await Harness().start()
    harness.table_end, harness.table.at = 1_000, 999
    await harness.order()
    await harness.pass_time(10, steps=20)
    assert harness.legs() == []
    harness.table.at = 1_000
    await harness.pass_time(1)
    assert harness.planned() == USERS


async def test_bad_input_the_id_of_a_running_broadcast_plans_nothing_and_the_running_one_goes_on() -> None:
    harness = await Harness().start()
    harness.halt(Kind.HOLD)
    await harness.order()
    await harness.order(reason="duplicate", title="Another text")
    assert [(leg.source_offset, leg.planned, leg.reason) for leg in harness.legs()] == [(1, 0, "duplicate")]
    harness.halt(Kind.HOLD, over=True)
    await harness.pass_time(LOOK_SECONDS)
    assert (harness.planned(), harness.tracker.low) == (USERS, 2)


async def test_bad_input_a_stop_of_what_never_was_stops_nothing() -> None:
    harness = await Harness().start()
    harness.control.apply(Name(Kind.STOP, "never-was").key(), encode(Halt(since_ms=1)))
    await harness.order()
    assert (harness.planned(), harness.tracker.low) == (USERS, 1)


async def test_fact_52_one_partition_sends_to_a_topic_and_the_others_end_empty() -> None:
    this_one = next(partitions for partitions in range(4, 100) if sampled("b-1", partitions) == PARTITION)
    for partitions, planned in ((1, 0), (this_one, 1)):
        harness = await Harness(partitions=partitions).start()
        await harness.order(via="fcm_topic", audience={"topics": ["a"]})
        [leg] = harness.legs()
        assert (leg.last, leg.reason, leg.planned, leg.scanned) == (True, None, planned, 0)


def topic_row(user: int, *topics_of_it: str) -> tuple[bytes, bytes]:
    fixed = ("news", "d", "apns", "token", b"t%d" % user, "", b"%016d" % user, "active", T0 - 5, T0 - 5)
    row = DeviceRow(*fixed, topics=topics_of_it, first_at=T0 - 5)
    return device_row_key(f"u-{user:03}", "news", "d"), encode_row(row)


async def test_fact_19_who_leaves_before_the_cursor_comes_is_out_and_who_leaves_after_it_is_in() -> None:
    harness = await Harness().start()
    rows = harness.table.rows[PARTITION]
    rows.clear()
    rows.update(topic_row(user, "a") for user in range(USERS))
    await harness.order(pace={"over_seconds": 40}, audience={"topics": ["a"]})
    await harness.pass_time(20, steps=200)
    passed = harness.counters["targets", "apns"]
    assert 10 < passed < 30
    rows.update(topic_row(user) for user in (0, 1, USERS - 2))  # two that were passed, one that was not
    del rows[topic_row(USERS - 1)[0]]
    rows.update([topic_row(USERS - 3, "a", "b")])  # another topic beside: once
    await harness.pass_time(25, steps=100)
    assert (harness.planned(), harness.tracker.low) == (USERS - 2, 1)


async def test_bad_input_a_device_that_follows_five_of_the_topics_gets_it_once() -> None:
    harness = await Harness().start()
    harness.table.rows[PARTITION].clear()
    harness.table.rows[PARTITION].update([topic_row(1, "a", "b", "c", "d", "e")])
    await harness.order(audience={"topics": ["a", "b", "c", "d", "e"]})
    assert (harness.planned(), harness.counters["targets", "apns"]) == (1, 1)


@pytest.mark.parametrize(
    ("where", "planned"),
    [
        ({"and": [{"topic": "a"}, {"not": {"topic": "a"}}]}, 0),
        ({"or": [{"topic": "a"}, {"not": {"topic": "a"}}]}, USERS),
    ],
)
async def test_bad_input_an_audience_of_nobody_and_one_of_everybody(where: dict[str, Any], planned: int) -> None:
    harness = await Harness().start()
    await harness.order(audience={"where": where})
    [leg] = harness.legs()
    assert (leg.planned, leg.last, leg.reason, harness.tracker.low) == (planned, True, None, 1)


def sent_to(harness: Harness) -> list[str]:
    """Users of the deliveries that Kafka has."""
    values = [each.value() for each in harness.world.valid(topics.send(Platform.APNS, LANE))]
    batches = [decode_batch(value) for value in values if value is not None]
    return [user for batch in batches for message in batch.messages for user in message.targets.user]


def refreshed(user: str, at: int, first_at: int | None) -> tuple[bytes, bytes]:
    fixed = ("news", "d", "apns", "token", user.encode(), "", user.encode().ljust(16)[:16], "active", at, at)
    return device_row_key(user, "news", "d"), encode_row(DeviceRow(*fixed, first_at=first_at))


async def test_fact_18_who_registers_in_mid_walk_is_out_on_either_side_of_the_cursor_and_a_refresh_counts_once() -> (
    None
):
    harness = await Harness().start()
    rows = harness.table.rows[PARTITION]
    rows.update([refreshed("u-000-before", T0 - 1_000, T0 - 1_000)])  # a second before the event
    await harness.order(pace={"over_seconds": 40})
    await harness.pass_time(20, steps=200)
    reached = harness.counters["targets", "apns"]
    assert 10 < reached < 30
    rows.update(refreshed(user, T0 + 20_000, T0 + 20_000) for user in ("u-000-late", "u-039-late"))
    rows.update(refreshed(user, T0 + 20_000, T0 - 1_000) for user in ("u-001", "u-038"))
    await harness.pass_time(21, steps=100)
    sent = sorted(sent_to(harness))
    assert sent == sorted({*sent}), "nobody twice"
    assert sent == sorted([*(f"u-{user:03}" for user in range(USERS)), "u-000-before"])
    assert sum(leg.reasons.get("after_horizon", 0) for leg in harness.legs()) == 1, "behind the cursor nobody looks"


async def test_fact_26_a_notification_that_comes_in_mid_walk_stands_behind_the_bound_and_not_behind_a_million() -> None:
    """The seconds are those of `bench broadcast` (docs/benchmarks.md); senders take 10,000 in less than five."""
    harness = await Harness(max_ahead_targets=100, leg_targets=1_000).start()
    harness.register(USERS, 5_000)
    harness.taken = 0
    await harness.order()
    await harness.pass_time(5, steps=10)
    ahead = len(sent_to(harness))
    assert 100 < ahead <= 100 + 40, "of 5,000"
