"""Which platforms have no senders, as SPREAD finds it out (ruling II.21 of reference/rulings.md, as for walks)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest

from pushcast.handover.reading import SpanReader
from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Platform
from pushcast.spread import books as module
from pushcast.spread.books import SpreadBooks
from pushcast.spread.senders import Absences
from pushcast.spread.steps import StepTally
from pushcast.stream.lane_senders import GONE_SECONDS
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg
from pushcast.wire.events.orders import Order

T0 = 1_790_000_000_000
LANE = str(Lane.BULK)


class Cluster:
    """Where topics end, and where groups stand."""

    def __init__(self) -> None:
        self.written = {Platform.APNS: 100, Platform.EXPO: 100}
        self.taken: dict[Platform, int] = {Platform.APNS: 100}
        self.silent = False
        self.asked = 0

    async def ends(self, spots: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        ends = {topics.send(platform, Lane.BULK): end for platform, end in self.written.items()}
        return {(topic, partition): ends.get(topic, 0) for topic, partition in spots}

    async def committed(self, partitions: list[int]) -> Mapping[int, Mapping[str, int]]:
        self.asked += 1
        if self.silent:
            raise ConnectionError("the broker is away")
        return {each: {str(platform): offset for platform, offset in self.taken.items()} for each in partitions}


def absences(cluster: Cluster, clock: ManualClock) -> Absences:
    return Absences({LANE: cluster}, cast(SpanReader, cluster), 2, clock)


async def test_a_platform_of_which_something_waits_and_nobody_moves_for_a_minute_has_no_senders() -> None:
    cluster, clock = Cluster(), ManualClock(T0)
    asked = absences(cluster, clock)
    assert await asked.of(LANE, ["apns", "expo"]) == frozenset()
    clock.advance(GONE_SECONDS - 1)
    assert await asked.of(LANE, ["apns", "expo"]) == frozenset(), "senders that restart are away so long"
    clock.advance(1)
    assert await asked.of(LANE, ["apns", "expo"]) == {"expo"}, "of apns everything is taken, so its senders work"
    cluster.taken[Platform.EXPO] = 1
    assert await asked.of(LANE, ["expo"]) == frozenset(), "somebody has started them"


async def test_while_a_cluster_does_not_answer_no_platform_is_left_out_and_no_broadcast_is_held_up() -> None:
    cluster, clock = Cluster(), ManualClock(T0)
    asked = absences(cluster, clock)
    assert await asked.of(LANE, ["expo"]) == frozenset()
    cluster.silent = True
    clock.advance(GONE_SECONDS)
    assert await asked.of(LANE, ["expo"]) == frozenset()


class Read:
    """In place of what reads Kafka: a step that was walked, and of which nothing has ended but by APNs."""

    def __init__(self, reader: Any, tally: StepTally, order: Order, partitions: int, counters: object) -> None:
        self.tally = tally

    async def legs(self) -> None:
        for partition in range(2):
            self.tally.leg(partition, Leg(LANE, 7, "b-1", 0, "", "", 0, T0, last=True, apns=10, expo=30))

    async def receipts(self) -> None:
        for number in range(10):
            made = {"notification_id": "b-1", "lane": LANE, "source": 1, "source_partition": 0, "source_offset": 7}
            self.tally.receipt(
                made | {"delivery_id": f"{number:032x}", "outcome": "accepted", "run": 0, "platform": "apns"}
            )


async def test_a_step_is_decided_although_most_of_it_waits_for_senders_that_nobody_has_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_Watched", Read)
    cluster, clock = Cluster(), ManualClock(T0)
    books = SpreadBooks(cast(SpanReader, cluster), 2, clock, absences(cluster, clock), Counter())
    steps = [{"share": 100, "wait_seconds": 5, "stop_if": {"invalid_share": 0.05}}, {"share": 10_000}]
    event = {"expires_at": T0 + 10**7, "step": 0, "steps": steps}
    order = Order("b-1", "log", 0, T0, False, "", json.dumps(event).encode())
    assert (await books.judged(LANE, order))[0] is None
    assert cluster.asked == 0, "while the step waits anyway nobody is asked"
    clock.advance(5)
    assert (await books.judged(LANE, order))[0] is None
    clock.advance(GONE_SECONDS)
    go, tally = await books.judged(LANE, order)
    assert (go, tally.left_out) == (True, frozenset(["expo"]))
