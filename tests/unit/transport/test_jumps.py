from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from faust.types import TP

from pushcast.transport.jumps import Jump, Jumps, decide

HERE = TP("t", 0)


@pytest.mark.parametrize(
    ("position", "written_since", "jump"),
    [
        (100, None, None),
        (250, None, None),
        (40, None, Jump(40, 100, cut=False)),
        (300, 230, Jump(300, 230, cut=True)),
        (300, 50, Jump(300, 100, cut=True)),
        (300, None, Jump(300, 100, cut=True)),
    ],
)
def test_where_a_position_goes_on_in_a_log_from_100_to_250(
    position: int, written_since: int | None, jump: Jump | None
) -> None:
    assert decide(position, 100, 250, written_since) == jump


def test_what_retention_took_is_counted_and_what_was_cut_cannot_be() -> None:
    assert Jump(40, 100, cut=False).lost_records == 60
    assert Jump(300, 100, cut=True).lost_records == 0


class Log:
    """A consumer of one log that notes commits."""

    def __init__(self, begin: int, end: int, younger: int | None = None) -> None:
        self.begin, self.end, self.younger = begin, end, younger
        self.commits: list[dict[TopicPartition, int]] = []

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self.begin)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self.end)

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found = None if self.younger is None else OffsetAndTimestamp(self.younger, 0)
        return dict.fromkeys(times, found)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.commits.append(offsets)


class Known:
    def __init__(self, next_arrival: int, last_timestamp_ms: int | None = None) -> None:
        self.next_arrival, self.last_timestamp_ms = next_arrival, last_timestamp_ms


class Assignment:
    """Whether the position of every partition was refused."""

    def __init__(self, *, refused: bool) -> None:
        self.awaiting_reset = refused

    def state_value(self, tp: TP) -> Assignment:
        return self


async def test_a_refused_position_is_settled_once() -> None:
    jumps, log = Jumps(), Log(100, 250)
    jumps.suspect(Assignment(refused=True), {HERE: Known(40)})
    assert await jumps.settle(log) == {HERE: Jump(40, 100, cut=False)}
    assert await jumps.settle(log) == {}
    assert log.commits == []


async def test_a_log_that_was_cut_goes_on_behind_what_was_handled_and_that_is_committed() -> None:
    jumps, log = Jumps(), Log(0, 12, younger=10)
    jumps.suspect(Assignment(refused=True), {HERE: Known(40, last_timestamp_ms=1)})
    assert await jumps.settle(log) == {HERE: Jump(40, 10, cut=True)}
    assert log.commits == [{TopicPartition("t", 0): 10}]


async def test_of_a_cut_log_in_which_nothing_is_younger_the_end_is_taken() -> None:
    jumps, log = Jumps(), Log(0, 12)
    jumps.suspect(Assignment(refused=True), {HERE: Known(40, last_timestamp_ms=1)})
    assert await jumps.settle(log) == {HERE: Jump(40, 12, cut=True)}


async def test_a_position_that_stands_is_not_suspected() -> None:
    jumps = Jumps()
    jumps.suspect(Assignment(refused=False), {HERE: Known(40)})
    assert await jumps.settle(Log(100, 250)) == {}


class Elsewhere(Log):
    """A consumer that the partition was taken from: another member went on behind what was cut."""

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        raise IllegalStateError


async def test_a_position_of_an_assignment_that_is_over_is_asked_about_no_more() -> None:
    jumps, log = Jumps(), Elsewhere(0, 12)
    jumps.doubt(HERE, 40)
    with pytest.raises(IllegalStateError):
        await jumps.settle(log)
    jumps.forget()
    assert await jumps.settle(log) == {}, "else no fetch of any partition comes by here again"


async def test_an_assignment_that_comes_while_it_asks_makes_nothing_of_it() -> None:
    class Slow(Log):
        async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
            jumps.forget()
            return await super().end_offsets(tps)

    jumps = Jumps()
    jumps.doubt(HERE, 40)
    await jumps.settle(Slow(100, 250))
    assert await jumps.settle(Log(100, 250)) == {}


async def test_the_log_of_a_table_that_was_cut_is_found_and_nothing_of_it_committed() -> None:
    jumps, log = Jumps(), Log(0, 12)
    jumps.suspect(Assignment(refused=True), {}, {HERE: 40})
    assert await jumps.settle(log) == {HERE: Jump(40, 0, cut=True)}
    assert log.commits == [], "no group reads it"
    jumps.suspect(Assignment(refused=False), {}, {HERE: 12})
    assert await jumps.settle(log) == {}
