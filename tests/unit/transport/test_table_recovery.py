"""Faust's recovery, driven by a consumer whose Kafka is slow, refuses, or has more to read than a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError
from faust.types import TP

from pushcast.observe.logs import QUIET
from pushcast.transport import table_recovery
from pushcast.transport.app import add_devices_table, make_app
from pushcast.transport.table_recovery import PatientRecovery
from pushcast.transport.waits import Waits

ROW = TP("push.device.v1", 0)
Step = Callable[[], Awaitable[None]]


class Consumer:
    """Of Faust's side; `fails`: what a step does before it succeeds, one after the other."""

    def __init__(self) -> None:
        self.end = 0
        self.starts = 0
        self.fails: dict[str, list[Step]] = {}
        self.waits = Waits()

    async def _step(self, name: str) -> None:
        if steps := self.fails.get(name):
            await steps.pop(0)()

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        await self._step("highwaters")
        return dict.fromkeys(tps, self.end)

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        await self._step("earliest_offsets")
        return dict.fromkeys(tps, 0)

    async def seek_wait(self, offsets: dict[TP, int]) -> None:
        await self._step("seek_wait")

    async def perform_seek(self) -> None:
        await self._step("perform_seek")
        self.starts += 1

    def assignment(self) -> set[TP]:
        return {ROW, TP("events", 0)}

    def resume_partitions(self, _: object) -> None: ...

    def pause_partitions(self, _: object) -> None: ...

    def resume_flow(self) -> None: ...


class Running:
    """The task that Faust runs, and what it is told."""

    def __init__(self, recovery: Any, consumer: Consumer) -> None:
        self.recovery = recovery
        self.consumer = consumer

    def assign(self) -> None:
        """As a rebalance has it."""
        self.recovery.active_tps.add(ROW)
        self.recovery.active_offsets.setdefault(ROW, None)
        self.recovery.tp_to_table[ROW] = next(iter(self.recovery.tables.values()))
        self.recovery.signal_recovery_start.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    app: Any = make_app("group", bootstrap_servers="k:1", partitions=1, data_dir=tmp_path)
    add_devices_table(app, ROW.topic)
    consumer = Consumer()

    async def nothing() -> None:
        return

    app._consumer = consumer
    app._fetcher = SimpleNamespace(maybe_start=nothing)
    app.on_rebalance_end = lambda: None
    app.conf.broker_request_timeout = 0.05
    recovery = app.tables.recovery
    assert isinstance(recovery, PatientRecovery)
    restarting: Any = recovery._restart_recovery
    task: asyncio.Task[None] = asyncio.create_task(restarting.fun(recovery))
    yield Running(recovery, consumer)
    assert not task.done() or task.exception() is None
    recovery._stopped.set()
    await asyncio.wait([task])
    task.result()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_recovery, "AGAIN_SECONDS", 0.01)


async def late() -> None:
    await asyncio.sleep(60)


def raising(error: Exception) -> Step:
    async def step() -> None:
        raise error

    return step


@pytest.mark.parametrize("step", ["highwaters", "earliest_offsets", "seek_wait", "perform_seek"])
@pytest.mark.parametrize(
    "failure",
    [late, raising(KafkaTimeoutError()), raising(TopicAuthorizationFailedError("t")), raising(ConnectionError("gone"))],
    ids=["late", "timeout", "authorization", "connection"],
)
async def test_partitions_are_started_when_kafka_is_well_again(tmp_path: Path, step: str, failure: Step) -> None:
    async with running(tmp_path) as run:
        run.consumer.fails[step] = [failure, failure]
        run.assign()
        await run.until(lambda: bool(run.consumer.waits.problems()))
        await run.until(lambda: run.consumer.starts == 1)
        await run.until(lambda: not run.consumer.waits.problems())


async def test_a_later_assignment_does_not_wait_for_the_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_recovery, "AGAIN_SECONDS", 60.0)
    async with running(tmp_path) as run:
        run.consumer.fails["perform_seek"] = [raising(KafkaError())]
        run.assign()
        await run.until(lambda: bool(run.consumer.waits.problems()))
        run.assign()
        await run.until(lambda: run.consumer.starts == 1)


async def test_a_process_that_stops_waits_for_no_further_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_recovery, "AGAIN_SECONDS", 60.0)
    async with asyncio.timeout(5), running(tmp_path) as run:
        run.consumer.fails["perform_seek"] = [raising(KafkaError())]
        run.assign()
        await run.until(lambda: bool(run.consumer.waits.problems()))


async def test_the_end_of_a_recovery_is_not_taken_for_that_of_the_next(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        recovery, consumer = run.recovery, run.consumer
        consumer.end = 5
        run.assign()
        await run.until(lambda: recovery.in_recovery and bool(recovery.active_highwaters))
        recovery.active_offsets[ROW] = 4
        recovery.signal_recovery_end.set()  # the consumer has come to the end
        await run.until(lambda: consumer.starts == 1)
        consumer.end = 9  # another assignment, with rows that were not read yet
        run.assign()
        await run.until(lambda: recovery.in_recovery and recovery.active_highwaters[ROW] == 8)
        await asyncio.sleep(0.05)
        assert consumer.starts == 1, "its table has four rows to read"
        recovery.active_offsets[ROW] = 8
        recovery.signal_recovery_end.set()
        await run.until(lambda: consumer.starts == 2)


def test_fausts_own_lines_are_as_quiet_as_all_of_its() -> None:
    """By the name of this module each role told of its recovery in five lines."""
    assert PatientRecovery.logger.name.split(".")[0] in QUIET
