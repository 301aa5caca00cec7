"""The law of the runner: whatever comes, waits, is cancelled and goes, work is done once, not before its time, one run
at a time, and none of it after the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.clock import ManualClock
from pushcast.stream.runner import Runner
from twins.kafka import ManualTimers, settled


class Op(NamedTuple):
    name: str
    seconds: float = 0.0


ops = st.one_of(
    st.builds(Op, st.just("add"), st.sampled_from([0.0, 1.0, 2.0, 5.0])),
    st.builds(Op, st.just("pass_time"), st.sampled_from([0.5, 1.0, 3.0])),
    st.builds(Op, st.sampled_from(["shut", "open", "cancel", "wake", "turn"])),
)


class World:
    """Pieces of work with the time at which they may be done. A run waits before each while the gate is shut."""

    def __init__(self) -> None:
        self.clock = ManualClock(0)
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.waiting: list[float] = []
        self.added = self.done = self.runs = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fatal: list[BaseException] = []
        self.runner = Runner("work", self._wait, self._work, lambda _, error: self.fatal.append(error), self.timers)

    def _wait(self) -> float | None:
        return min(self.waiting) - self.clock.monotonic_seconds() if self.waiting else None

    async def _work(self) -> None:
        self.runs += 1
        try:
            assert self.runs == 1, "two runs at a time"
            while self.waiting and min(self.waiting) <= self.clock.monotonic_seconds():
                await self.gate.wait()
                self.waiting.remove(min(self.waiting))
                self.done += 1
        finally:
            self.runs -= 1

    def add(self, op: Op) -> None:
        self.waiting.append(self.clock.monotonic_seconds() + op.seconds)
        self.added += 1
        self.runner.wake()

    def pass_time(self, op: Op) -> None:
        self.clock.advance(op.seconds)
        self.timers.fire()

    def shut(self, _: Op) -> None:
        self.gate.clear()

    def open(self, _: Op) -> None:
        self.gate.set()

    def cancel(self, _: Op) -> None:
        self.runner.cancel()

    def wake(self, _: Op) -> None:
        self.runner.wake()

    async def play(self, program: Sequence[Op]) -> None:
        for op in program:
            if op.name == "turn":
                await settled()
            else:
                getattr(self, op.name)(op)
            assert not self.fatal, self.fatal
            lost = self.added - self.done - len(self.waiting)
            assert lost == 0, "a piece of work got lost"


async def done(program: Sequence[Op]) -> None:
    """After the program there is time and nothing in the way."""
    world = World()
    await world.play(program)
    world.gate.set()
    for _ in range(4):
        await settled()
        world.pass_time(Op("pass_time", 5.0))
    await settled()
    assert not world.fatal, world.fatal
    assert (world.done, world.waiting) == (world.added, []), "work is left"


async def ended(program: Sequence[Op], rest: Sequence[Op]) -> None:
    """Nothing is done after the stop, whatever comes."""
    world = World()
    await world.play(program)
    await world.runner.stopped()
    before = world.done
    await world.play(rest)
    await settled()
    assert (world.done, world.runs, world.runner.running) == (before, 0, False)


@settings(deadline=None)
@given(st.lists(ops, max_size=20))
def test_all_work_is_done_in_the_end_and_no_two_runs_meet(program: list[Op]) -> None:
    asyncio.run(done(program))


@settings(deadline=None)
@given(st.lists(ops, max_size=12), st.lists(ops, max_size=8))
def test_nothing_runs_after_the_stop(program: list[Op], rest: list[Op]) -> None:
    asyncio.run(ended(program, rest))


def never(self: Runner, *_: object) -> None:
    return None


def forgets(self: Runner, task: asyncio.Task[None]) -> None:
    """The end of a run that asks no more."""
    self._task = None


def again(self: Runner) -> None:
    """A wake that does not look whether a run is under way."""
    if self._wait() is not None and (self._wait() or 0.0) <= 0:
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(self._ended)


LATE = [Op("shut"), Op("add"), Op("turn"), Op("add", 1.0), Op("open"), Op("turn")]
TWICE = [Op("shut"), Op("add"), Op("turn"), Op("wake"), Op("turn"), Op("open"), Op("turn")]
CANCELLED = [Op("shut"), Op("add"), Op("turn"), Op("cancel"), Op("turn")]


@pytest.mark.parametrize(
    ("method", "instead", "program"),
    [("_ended", forgets, LATE), ("wake", again, TWICE), ("_elapsed", never, LATE), ("_ended", forgets, CANCELLED)],
)
def test_without_a_rule_of_it_some_work_is_left_or_done_by_two(
    method: str, instead: Callable[..., None], program: list[Op], monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(done(program))
    monkeypatch.setattr(Runner, method, instead)
    with pytest.raises((AssertionError, ValueError)):
        asyncio.run(done(program))


def test_without_the_stop_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    program, rest = [Op("add", 1.0)], [Op("pass_time", 1.0)]
    asyncio.run(ended(program, rest))
    monkeypatch.setattr(Runner, "stop", never)
    with pytest.raises(AssertionError):
        asyncio.run(ended(program, rest))
