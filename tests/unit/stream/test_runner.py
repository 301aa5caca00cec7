"""The runner: work is done when it may be, one run at a time, and never after the end."""

from __future__ import annotations

import asyncio

from pushcast.model.clock import ManualClock
from pushcast.stream.runner import Runner
from twins.kafka import ManualTimers, settled


class Work:
    """Work that is due at `due` (monotonic seconds) and waits inside a run until `gate` is set."""

    def __init__(self) -> None:
        self.clock = ManualClock(0)
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.due: float | None = None
        self.runs = 0
        self.finished = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.fatal: list[tuple[str, BaseException]] = []
        self.runner = Runner(
            "the work", self.wait, self.work, lambda what, error: self.fatal.append((what, error)), self.timers
        )

    def wait(self) -> float | None:
        if self.error is not None and self.due == -1:
            raise self.error
        return None if self.due is None else self.due - self.clock.monotonic_seconds()

    async def work(self) -> None:
        self.runs += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.due = None
        self.finished += 1

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timers.fire()
        await settled()


async def test_nothing_runs_while_there_is_no_work() -> None:
    work = Work()
    work.runner.wake()
    await work.pass_time(60)
    assert (work.runs, work.runner.running) == (0, False)


async def test_work_waits_for_its_time_and_runs_once() -> None:
    work = Work()
    work.due = work.clock.monotonic_seconds() + 5
    work.runner.wake()
    await work.pass_time(4)
    assert work.runs == 0
    await work.pass_time(1)
    assert (work.runs, work.finished) == (1, 1)
    await work.pass_time(60)
    assert work.runs == 1


async def test_work_that_is_due_earlier_after_all_moves_the_timer() -> None:
    work = Work()
    work.due = work.clock.monotonic_seconds() + 100
    work.runner.wake()
    work.due = work.clock.monotonic_seconds() + 1
    work.runner.wake()
    await work.pass_time(1)
    assert work.finished == 1


async def test_a_timer_that_fires_before_the_work_is_due_is_set_again() -> None:
    work = Work()
    work.due = work.clock.monotonic_seconds() + 1
    work.runner.wake()
    work.due = work.clock.monotonic_seconds() + 2
    await work.pass_time(1)
    assert work.runs == 0
    await work.pass_time(1)
    assert work.finished == 1


async def test_a_run_is_alone_and_its_end_looks_for_what_came_meanwhile() -> None:
    work = Work()
    work.gate.clear()
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await settled()
    work.runner.wake()
    await settled()
    assert (work.runs, work.runner.running) == (1, True)
    work.gate.set()
    await settled()
    assert (work.runs, work.finished) == (1, 1)
    work.gate.clear()
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await settled()
    again = work.clock.monotonic_seconds()
    work.gate.set()
    await settled()
    work.due = again
    work.runner.wake()
    await settled()
    assert work.finished == 3


async def test_a_cancelled_run_is_begun_again_while_there_is_work() -> None:
    work = Work()
    work.gate.clear()
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await settled()
    work.runner.cancel()
    work.gate.set()
    await settled()
    assert (work.runs, work.finished, work.fatal) == (2, 1, [])


async def test_a_run_that_the_ending_loop_cancels_is_not_begun_again() -> None:
    work = Work()
    work.gate.clear()
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await settled()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await settled()
    assert (work.runs, work.runner.running, work.fatal) == (1, False, [])


async def test_after_the_stop_nothing_runs_and_what_ran_is_cancelled() -> None:
    work = Work()
    work.gate.clear()
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await settled()
    await work.runner.stopped()
    work.gate.set()
    work.runner.wake()
    await work.pass_time(60)
    assert (work.runs, work.finished, work.runner.running, work.fatal) == (1, 0, False, [])


async def test_after_the_stop_the_timer_does_nothing() -> None:
    work = Work()
    work.due = work.clock.monotonic_seconds() + 1
    work.runner.wake()
    work.runner.stop()
    await work.pass_time(1)
    assert work.runs == 0


async def test_an_error_of_the_work_is_fatal_and_is_not_tried_again() -> None:
    work = Work()
    work.error = RuntimeError("broken")
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await work.pass_time(60)
    assert (work.runs, work.fatal) == (1, [("the work", work.error)])


async def test_an_error_while_it_is_asked_when_is_fatal_too() -> None:
    work = Work()
    work.due = work.clock.monotonic_seconds() + 1
    work.runner.wake()
    work.error, work.due = RuntimeError("broken"), -1
    await work.pass_time(1)
    assert work.fatal == [("the work", work.error)]


async def test_a_run_whose_awaited_thing_was_cancelled_is_fatal_and_does_not_just_end() -> None:
    work = Work()
    gone = asyncio.get_running_loop().create_future()
    work.gate.wait = lambda: gone  # type: ignore[method-assign, assignment, return-value]
    work.due = work.clock.monotonic_seconds()
    work.runner.wake()
    await settled()
    gone.cancel()
    await settled()
    [(what, error)] = work.fatal
    assert (what, "cancelled" in str(error)) == ("the work", True)
