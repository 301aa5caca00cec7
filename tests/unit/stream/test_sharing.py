"""How sources of one partition share a stage's time (rulings II.15)."""

from __future__ import annotations

from typing import Any, cast

from pushcast.model.clock import ManualClock
from pushcast.stream.batch import TP
from pushcast.stream.sharing import MIN_SHARE, Sharing, pause_seconds

AHEAD, ALSO = TP("events", 3), TP("others", 3)


class Waiting:
    """Partitions with records that wait."""

    def __init__(self, *waits: TP) -> None:
        self._waits = waits

    def waits(self, tp: TP) -> bool:
        return tp in self._waits


async def slept(work: Waiting, took: float, *ahead: TP) -> float:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    clock = ManualClock(0)
    sharing = Sharing(clock, sleep)
    began = sharing.began()
    clock.advance(took)
    await sharing.give_way(cast(Any, work), ahead, began)
    [seconds] = found
    return seconds


async def test_ii15_while_others_wait_a_source_has_a_tenth_of_the_time() -> None:
    pause = await slept(Waiting(ALSO), 0.02, AHEAD, ALSO)
    assert round(0.02 / (0.02 + pause), 6) == MIN_SHARE


async def test_ii15_it_pauses_for_nobody_but_gives_way_once() -> None:
    assert await slept(Waiting(), 0.02, AHEAD) == 0
    assert await slept(Waiting(ALSO), 0.02, AHEAD) == 0
    assert await slept(Waiting(AHEAD), 0.02) == 0


def test_a_clock_that_goes_back_makes_no_pause() -> None:
    assert pause_seconds(-1, others_wait=True) == 0
