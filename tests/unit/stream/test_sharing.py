"""How sources of one partition share a stage's time (rulings II.15)."""

from __future__ import annotations

from typing import Any, cast

from pushcast.model.clock import ManualClock
from pushcast.stream.batch import TP
from pushcast.stream.sharing import MAX_PAUSE_SECONDS, MIN_SHARE, STEP_SECONDS, Sharing, pause_seconds

AHEAD, ALSO = TP("events", 3), TP("others", 3)


class Waiting:
    """Partitions with records that wait, for so many questions."""

    def __init__(self, *waits: TP, asked: int = 1_000) -> None:
        self._waits = waits
        self._asked = asked

    def waits(self, tp: TP) -> bool:
        self._asked -= 1
        return tp in self._waits and self._asked >= 0


async def slept(work: Waiting, took: float, *ahead: TP) -> list[float]:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    clock = ManualClock(0)
    sharing = Sharing(clock, sleep)
    began = sharing.began()
    clock.advance(took)
    await sharing.give_way(cast(Any, work), ahead, began)
    return found


async def test_ii15_while_others_wait_a_source_has_a_tenth_of_the_time() -> None:
    pauses = await slept(Waiting(ALSO), 0.02, AHEAD, ALSO)
    assert round(0.02 / (0.02 + sum(pauses)), 6) == MIN_SHARE
    assert max(pauses) <= STEP_SECONDS


async def test_ii15_a_pause_ends_when_nobody_waits_any_more() -> None:
    assert await slept(Waiting(AHEAD, asked=2), 0.02, AHEAD) == [0, STEP_SECONDS, STEP_SECONDS]


async def test_ii15_it_pauses_for_nobody_but_gives_way_once() -> None:
    assert await slept(Waiting(), 0.02, AHEAD) == [0]
    assert await slept(Waiting(ALSO), 0.02, AHEAD) == [0]
    assert await slept(Waiting(AHEAD), 0.02) == [0]


async def test_a_source_may_have_another_share() -> None:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    clock = ManualClock(0)
    sharing = Sharing(clock, sleep, 0.5)
    began = sharing.began()
    clock.advance(0.01)
    await sharing.pause(lambda: True, began)
    assert [round(seconds, 6) for seconds in found] == [0, 0.01]


def test_a_process_without_cpu_pauses_for_half_a_second_at_most_and_a_clock_that_goes_back_for_nothing() -> None:
    assert pause_seconds(60) == MAX_PAUSE_SECONDS
    assert pause_seconds(-1) == 0
