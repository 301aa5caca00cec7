"""SPREAD: one order for each partition, and what is refused by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pushcast.config.settings import Settings
from pushcast.handover import standing
from pushcast.kafka.topics.load import load_topology
from pushcast.model.audience import FollowedTopic
from pushcast.model.broadcast import NotTo
from pushcast.model.clock import ManualClock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.spread.agent import SpreadStage
from pushcast.spread.books import SpreadBooks
from pushcast.spread.exact import SpreadHandover
from pushcast.spread.register import Register
from pushcast.spread.steps import StepTally
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Tracker
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.answers import dead_letters
from pushcast.wire.control.control import Halt, Kind, Name, SegmentRecord, StepDecision, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.broadcasts import MAX_FROZEN_BYTES, BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import STEPS_SUFFIX, Order, decode_order, encode_order, steps_of
from pushcast.wire.headers import FENCE, first
from twins.handover import Log
from twins.kafka import OPEN, ManualTimers, Produced, TwinOutbox, record, settled

INTAKE, WALK = topics.broadcast(Lane.BULK), topics.walk(Lane.BULK)
SOURCE = TP(INTAKE, 0)
T0 = 1_790_000_000_000
SETTINGS = Settings.model_validate({"apps": {"news": {}}, "kafka": {"partitions": 4}})


class Eager(TwinOutbox):
    """Acknowledges at once."""

    def put(self, *args: Any, **options: Any) -> None:
        super().put(*args, **options)
        self.acknowledge()


class Judge(SpreadBooks):
    """What legs and receipts say, as the test has it."""

    def __init__(self) -> None:
        self.go: bool | None = None
        self.asked = 0

    async def judged(self, lane: str, order: Order) -> tuple[bool | None, StepTally]:
        self.asked += 1
        return self.go, StepTally(lane, order, 4)

    async def ended_at(self, lane: str, register: Register, broadcast: str) -> int:
        if register.newest(broadcast) is None:
            raise InvalidInput("invalid_field", "not_to.broadcast is unknown", "not_to.broadcast")
        return T0 - 7

    def forget(self, lane: str, order: Order) -> None:
        pass


class Empty:
    """A walk topic that nobody has written to."""

    async def ends(self, spots: Iterable[Any]) -> dict[Any, int]:
        return dict.fromkeys(spots, 0)

    async def read(self, spans: Mapping[Any, Any], on_record: Any) -> None:
        assert set(spans.values()) == {(0, 0)}


class Harness:
    """The stage after its take-over."""

    def __init__(self) -> None:
        self.outbox = Eager()
        self.clock = ManualClock(T0)
        self.control = ControlState()
        self.counters: Counter[tuple[str, str]] = Counter()
        self.tracker = Tracker(0, OPEN)
        self.books = Judge()
        self.fatal: list[tuple[str, BaseException]] = []
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.decoder = BroadcastDecoder({"news"}, {"default": ClassRule(1)})

    async def log_id(self, topic: str) -> str:
        return f"cluster/{topic}"

    def partitions(self) -> list[TP]:
        return [SOURCE]

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        return True

    async def start(self) -> Harness:
        outbox, walk_topics = cast(Any, self.outbox), {INTAKE: WALK}
        handover = SpreadHandover(
            walk_topics, 4, outbox=outbox, reader=cast(Any, Empty()), clock=self.clock, log_ids=self.log_id
        )
        self.stage = SpreadStage(
            SETTINGS,
            walk_topics,
            outbox=outbox,
            clock=self.clock,
            handover=handover,
            control=self.control,
            counters=self.counters,
            books=self.books,
            fatal=lambda what, error: self.fatal.append((what, error)),
            call_later=self.timers,
        )
        self.stage.work = cast(Any, self)
        await self.stage.assigned({SOURCE: Committed(None, "")})
        await self.stage.refresh()
        return self

    async def feed(self, *events: dict[str, Any] | bytes | None) -> None:
        start = self.tracker.low
        values = [json.dumps(event).encode() if isinstance(event, dict) else event for event in events]
        records = [
            record(INTAKE, 0, start + place, None, value, timestamp=T0 + place) for place, value in enumerate(values)
        ]
        segment = self.tracker.hand_over(records, self.tracker.arrive(records))
        await self.stage.handle(Batch(SOURCE, self.tracker, segment, lambda: None))

    def orders(self, partition: int) -> list[Order]:
        return [
            decode_order(each.value)
            for each in self.outbox.log
            if each.topic == WALK and each.partition == partition and each.value is not None
        ]

    def letters(self) -> list[tuple[str, str]]:
        found = [dict(each.headers) for each in self.outbox.log if each.topic == INTAKE + ".dlq"]
        names = (dead_letters.REASON, dead_letters.STREAMS + "message")
        return [((each[names[0]] or b"").decode(), (each[names[1]] or b"").decode()) for each in found]


def event(**fields: Any) -> dict[str, Any]:
    return {"id": "b-1", "app": "news", "audience": {"all": True}, "title": "Goal!", **fields}


async def test_a_broadcast_becomes_the_same_order_in_every_partition() -> None:
    harness = await Harness().start()
    await harness.feed(event())
    [order] = harness.orders(0)
    assert (order.broadcast, order.intake_offset, order.recorded_at, order.reason) == ("b-1", 0, T0, "")
    assert all(harness.orders(partition) == [order] for partition in range(4))
    assert harness.tracker.low == 1


async def test_partition_0_is_fenced_last_and_has_every_order_first() -> None:
    harness = await Harness().start()
    await harness.feed(event())
    fences = [each.partition for each in harness.outbox.log if first(each.headers, FENCE) is not None]
    assert fences == [1, 2, 3, 0]
    assert [each.partition for each in harness.outbox.log if each.value is not None] == [0, 1, 2, 3]


async def test_fact_9_a_segment_is_frozen_when_the_broadcast_is_spread() -> None:
    harness = await Harness().start()
    harness.control.apply(Name(Kind.SEGMENT, "de").key(), encode(SegmentRecord({"topic": "a"})))
    await harness.feed(event(audience={"segment": "de"}))
    harness.control.apply(Name(Kind.SEGMENT, "de").key(), encode(SegmentRecord({"topic": "b"})))
    assert harness.decoder.decode_frozen(harness.orders(3)[0].event, T0).audience == FollowedTopic("a")


async def test_fact_17_an_id_is_planned_once() -> None:
    harness = await Harness().start()
    await harness.feed(event(), event(title="other"), event(id="b-2"))
    assert [order.reason for order in harness.orders(2)] == ["", "duplicate", ""]
    assert harness.counters["spread", "duplicate"] == 1


async def test_a_count_claims_no_id_and_is_refused_none() -> None:
    harness = await Harness().start()
    await harness.feed(event(count_only=True), event(), event(count_only=True))
    assert [(order.count_only, order.reason) for order in harness.orders(1)] == [(True, ""), (False, ""), (True, "")]


async def test_what_has_expired_before_it_is_spread_is_planned_to_nothing() -> None:
    harness = await Harness().start()
    await harness.feed(event(created_at=T0 - 60_000, expires_at=T0 - 1))
    assert [order.reason for order in harness.orders(0)] == ["expired"]


async def test_facts_1_3_4_8_what_is_refused_is_a_dead_letter_and_the_next_goes_on() -> None:
    harness = await Harness().start()
    await harness.feed(
        event(audience={"topics": []}),
        event(audience=None),
        event(audience={"condition": "'a' in topics || 'b' in topics && 'c' in topics"}),
        event(audience={"where": {"or": [{"topic": f"{n}"} for n in range(65)]}}),
        event(audience={"segment": "unknown"}),
        b"\xff\xfe",
        None,
        event(),
    )
    letters = harness.letters()
    assert [reason for reason, _ in letters] == [
        *["invalid_field"] * 4,
        "unknown_segment",
        "unknown_frame",
        "tombstone",
    ]
    assert "audience.topics has 0 entries; 1 to 20" in letters[0][1]
    assert "add parentheses" in letters[2][1]
    assert [order.intake_offset for order in harness.orders(0)] == [7]
    assert harness.tracker.low == 8


async def test_a_broadcast_that_no_walk_topic_takes_is_a_dead_letter_and_the_next_one_is_spread() -> None:
    harness = await Harness().start()
    texts = {f"l-{number}": {"body": "x" * 3_900} for number in range(9)}
    variants = [{"name": str(number), "share": 10_000 // 80, "locales": texts} for number in range(80)]
    await harness.feed(event(split={"variants": variants}), event(id="b-2"))
    [(reason, message)] = harness.letters()
    assert (reason, f"at most {MAX_FROZEN_BYTES}" in message) == ("too_large", True)
    assert [order.broadcast for order in harness.orders(0)] == ["b-2"]
    assert int(load_topology().by_name[WALK].settings["max.message.bytes"]) - MAX_FROZEN_BYTES == 65_536


async def test_a_commit_carries_the_epoch_of_the_claim() -> None:
    harness = await Harness().start()
    assert standing.decode(harness.stage.commit_metadata(SOURCE, 0)).epoch == T0 // 1000


async def test_stops_and_holds_go_when_no_broadcast_of_theirs_can_be_alive() -> None:
    harness = await Harness().start()
    for kind, name, remove_at in (
        (Kind.STOP, "old", T0),
        (Kind.STOP, "new", T0 + 1),
        (Kind.HOLD, "old", T0 - 1),
        (Kind.HOLD, "for ever", None),
    ):
        harness.control.apply(Name(kind, name).key(), encode(Halt(since_ms=1, remove_at=remove_at)))
    await harness.stage.refresh()
    removed = [(each.key, each.value) for each in harness.outbox.log if each.topic == topics.CONTROL]
    assert removed == [(b"stop/old", None), (b"hold/old", None)]


STEPS = [{"share": 100, "wait_seconds": 300, "stop_if": {"invalid_share": 0.05}}, {"share": 10_000}]


async def test_the_next_step_begins_when_it_is_judged_and_is_written_like_any_order() -> None:
    harness = await Harness().start()
    await harness.feed(event(steps=STEPS))
    await harness.stage.refresh()
    assert [steps_of(order).step for order in harness.orders(0)] == [0]
    harness.books.go = True
    await harness.stage.refresh()
    await harness.stage.refresh()
    for partition in range(4):
        found = harness.orders(partition)
        assert [(order.intake_id, steps_of(order).step, order.reason) for order in found] == [
            (f"cluster/{INTAKE}", 0, ""),
            (f"cluster/{INTAKE}{STEPS_SUFFIX}", 1, ""),
        ]
    [said] = [each for each in harness.outbox.log if each.topic == topics.CONTROL]
    assert said.key == b"step/b-1"
    assert harness.decoder.decode_frozen(harness.orders(2)[1].event, T0).step == 1


async def test_a_step_whose_receipts_are_bad_ends_the_broadcast() -> None:
    harness = await Harness().start()
    await harness.feed(event(steps=STEPS))
    harness.books.go = False
    await harness.stage.refresh()
    harness.books.go = True
    await harness.stage.refresh()
    assert [(steps_of(order).step, order.reason) for order in harness.orders(1)] == [(0, ""), (1, "stop_if")]


async def test_a_decision_of_a_predecessor_is_obeyed() -> None:
    harness = await Harness().start()
    await harness.feed(event(steps=STEPS))
    decided = StepDecision("bulk", 1, go=False, since_ms=T0)
    harness.control.apply(Name(Kind.STEP, "b-1").key(), encode(decided))
    await harness.stage.refresh()
    assert [order.reason for order in harness.orders(3)] == ["", "stop_if"]
    assert harness.books.asked == 0


async def test_a_decision_about_another_lane_or_step_is_nobodys() -> None:
    harness = await Harness().start()
    await harness.feed(event(steps=STEPS))
    for lane, step in (("urgent", 1), ("bulk", 2)):
        decided = StepDecision(lane, step, go=True, since_ms=T0)
        harness.control.apply(Name(Kind.STEP, "b-1").key(), encode(decided))
        await harness.stage.refresh()
    assert len(harness.orders(0)) == 1


async def test_stop_and_expiry_end_the_steps_and_a_hold_lets_them_wait() -> None:
    for ends_with in ("broadcast_stopped", "expired"):
        harness = await Harness().start()
        await harness.feed(event(steps=STEPS, expires_at=T0 + 600_000))
        harness.books.go = True
        harness.control.apply(Name(Kind.HOLD, "b-1").key(), encode(Halt(since_ms=1)))
        await harness.stage.refresh()
        assert len(harness.orders(0)) == 1
        if ends_with == "expired":
            harness.clock.advance(600)
        else:
            harness.control.apply(Name(Kind.STOP, "b-1").key(), encode(Halt(since_ms=1)))
        await harness.stage.refresh()
        assert [order.reason for order in harness.orders(0)] == ["", ends_with]


async def test_a_count_of_a_broadcast_in_steps_has_none() -> None:
    harness = await Harness().start()
    await harness.feed(event(steps=STEPS, count_only=True))
    harness.books.go = True
    await harness.stage.refresh()
    assert len(harness.orders(0)) == 1


async def test_not_to_carries_the_time_of_the_broadcast_that_it_names() -> None:
    harness = await Harness().start()
    await harness.feed(
        event(id="b-0"), event(not_to={"broadcast": "b-0"}), event(id="b-2", not_to={"broadcast": "b-9"})
    )
    [_, order] = harness.orders(0)
    expected = NotTo("b-0", frozenset({"accepted", "unfinished"}), T0 - 7)
    assert harness.decoder.decode_frozen(order.event, T0).not_to == expected
    assert harness.letters() == [("invalid_field", "not_to.broadcast is unknown")]


async def test_s1_a_broadcast_with_a_time_waits_for_it_and_is_walked_then() -> None:
    harness = await Harness().start()
    await harness.feed(event(deliver_at=T0 + 60_000))
    assert [order.reason for order in harness.orders(3)] == ["scheduled"]
    harness.clock.advance(59.999)
    harness.timers.fire()
    await settled()
    assert len(harness.orders(0)) == 1
    harness.clock.advance(0.001)
    harness.timers.fire()
    await settled()
    for partition in range(4):
        [_, order] = harness.orders(partition)
        assert (order.reason, steps_of(order).step, order.recorded_at) == ("", 1, T0 + 60_000)
    assert harness.fatal == []
    await harness.stage.refresh()
    assert len(harness.orders(0)) == 2


async def test_s14_the_horizon_is_the_time_that_it_is_due() -> None:
    harness = await Harness().start()
    await harness.feed(event(deliver_at=T0 + 60_000))
    harness.clock.advance(61)
    await harness.stage.refresh()
    assert harness.orders(0)[1].recorded_at == T0 + 61_000


async def test_local_times_become_an_order_for_each_instant_and_all_that_are_due_go_at_once() -> None:
    harness = await Harness().start()
    await harness.feed(event(deliver_local_at="2026-12-10T09:00"))
    instants = steps_of(harness.orders(0)[0]).instants
    assert len(instants) > 30
    harness.clock.advance((instants[2].at - T0) / 1000)
    await harness.stage.refresh()
    assert [steps_of(order).step for order in harness.orders(2)] == [0, 1, 2, 3]


async def test_a_time_does_not_save_an_id_that_was_spread_and_a_count_needs_none() -> None:
    harness = await Harness().start()
    await harness.feed(event(deliver_at=T0 + 60_000), event(deliver_at=T0 + 70_000), event(), event(count_only=True))
    await harness.feed(event(id="b-2", deliver_at=T0 + 60_000, count_only=True))
    assert [order.reason for order in harness.orders(1)] == ["scheduled", "duplicate", "duplicate", "", ""]


async def test_a_stop_ends_a_broadcast_before_its_time() -> None:
    harness = await Harness().start()
    await harness.feed(event(deliver_at=T0 + 60_000))
    harness.control.apply(Name(Kind.STOP, "b-1").key(), encode(Halt(since_ms=1)))
    await harness.stage.refresh()
    assert [order.reason for order in harness.orders(1)] == ["scheduled", "broadcast_stopped"]


async def test_what_waits_for_its_time_is_written_to_the_register_again_each_day() -> None:
    harness = await Harness().start()
    await harness.feed(event(deliver_at=T0 + 30 * 86_400_000))
    for _ in range(3):
        await harness.stage.refresh()
    assert len(harness.orders(0)) == 1
    harness.clock.advance(86_400)
    for _ in range(2):
        await harness.stage.refresh()
    [first, again] = harness.orders(0)
    assert first == again
    assert harness.orders(1) == [first]


class Written(Empty):
    """A walk topic with records in partition 0."""

    def __init__(self, *records: tuple[bytes, list[tuple[str, bytes | None]]]) -> None:
        self.log = Log(0)
        self.log.log += [Produced(WALK, 0, value, None, headers, 0) for value, headers in records]

    async def ends(self, spots: Iterable[Any]) -> dict[Any, int]:
        return await self.log.ends(spots)

    async def read(self, spans: Mapping[Any, Any], on_record: Any) -> None:
        await self.log.read(spans, on_record)


async def test_a_record_that_claims_to_be_ours_keeps_spread_from_nothing() -> None:
    """Each settler that took the lane over ended at it."""
    ours = h.origin("spread-bulk", 0, 7)
    event = encode_order(Order("b-1", f"cluster/{INTAKE}", 0, T0, False, "", b'{"expires_at": 1}'))
    strange = encode_order(Order("b-2", f"cluster/{INTAKE}", 1, T0, False, "", b"no JSON"))
    reader, harness = Written((b"no order", ours), (strange, ours), (event, ours)), Harness()
    handover = SpreadHandover(
        {INTAKE: WALK},
        4,
        outbox=cast(Any, harness.outbox),
        reader=cast(Any, reader),
        clock=harness.clock,
        log_ids=harness.log_id,
    )
    await handover.take_over(cast(Any, harness), {SOURCE: Committed(None, "")})
    assert handover.register(SOURCE).newest("b-1") is not None
    assert handover.register(SOURCE).newest("b-2") is None
    assert handover.counters == {"unreadable": 2, "claims": 1}
