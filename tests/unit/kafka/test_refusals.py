"""What Kafka refuses for now waits for a marker, and goes out when that is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pushcast.kafka.refusals import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, HeldRecord, OutputPlace, Refusals

RECEIPTS, RETRIES = OutputPlace("receipts", 3), OutputPlace("retries", 3)


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    def __init__(self) -> None:
        self.waits: list[float] = []
        self.timers: list[Timer] = []
        self.steps: list[Callable[[], None]] = []
        self.marks: list[OutputPlace] = []
        self.again: list[tuple[OutputPlace, HeldRecord]] = []
        self.refusals = Refusals(
            mark=self.marks.append, again=lambda *put: self.again.append(put), call_later=self.call_later
        )

    def call_later(self, seconds: float, step: Callable[[], None]) -> Timer:
        self.waits.append(seconds)
        self.steps.append(step)
        self.timers.append(Timer())
        return self.timers[-1]

    def fire(self) -> None:
        self.steps.pop(0)()


def held(value: bytes) -> HeldRecord:
    return HeldRecord(cast(Any, None), value, None, None, None)


def test_what_was_refused_is_written_in_order_once_a_marker_is_taken() -> None:
    world = World()
    world.refusals.refuse(RECEIPTS, "forbidden", held(b"1"))
    world.refusals.refuse(RECEIPTS, "forbidden", held(b"2"))
    world.refusals.hold(RECEIPTS, held(b"3"))
    assert (world.marks, world.waits) == ([], [FIRST_WAIT_SECONDS])
    world.fire()
    assert (world.marks, world.again) == ([RECEIPTS], [])
    world.refusals.marked(RECEIPTS, None)
    assert [each.value for _, each in world.again] == [b"1", b"2", b"3"]
    assert not world.refusals.places


def test_markers_are_tried_with_back_off_and_not_for_ever_faster_or_slower() -> None:
    world = World()
    world.refusals.refuse(RECEIPTS, "forbidden")
    for _ in range(10):
        world.fire()
        world.refusals.marked(RECEIPTS, "still forbidden")
    assert world.waits[:4] == [FIRST_WAIT_SECONDS, 1.0, 2.0, 4.0]
    assert set(world.waits[6:]) == {LONGEST_WAIT_SECONDS}
    assert world.refusals.told() == ["receipts[3]: still forbidden"]


def test_each_place_waits_for_a_marker_of_its_own() -> None:
    world = World()
    world.refusals.refuse(RECEIPTS, "forbidden", held(b"1"))
    world.refusals.refuse(RETRIES, "gone", held(b"2"))
    world.refusals.marked(RECEIPTS, None)
    assert RETRIES in world.refusals.places
    assert RECEIPTS not in world.refusals.places
    assert [each.value for _, each in world.again] == [b"1"]
    assert (world.refusals.topics(3), world.refusals.topics(4)) == (["retries"], [])


def test_a_closed_outbox_tries_no_more() -> None:
    world = World()
    world.refusals.refuse(RECEIPTS, "forbidden")
    world.refusals.close()
    assert [timer.cancelled for timer in world.timers] == [True]


def test_a_marker_that_is_taken_twice_does_no_harm() -> None:
    world = World()
    world.refusals.refuse(RECEIPTS, "forbidden", held(b"1"))
    world.refusals.marked(RECEIPTS, None)
    world.refusals.marked(RECEIPTS, None)
    assert len(world.again) == 1
