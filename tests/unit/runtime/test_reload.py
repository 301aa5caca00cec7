"""New settings in a running process (doors.md O1)."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from pushcast.config.settings import Settings, load
from pushcast.model.clock import ManualClock
from pushcast.observe.catalogue import MetricName as Name
from pushcast.runtime.reload import Reloader

GOOD = "classes: {default: {ttl_seconds: 100}}\nobserve: {log_level: info}\n"
CHANGED = "classes: {default: {ttl_seconds: 200}}\nobserve: {log_level: debug}\n"
BROKEN = "classes:\n  default: {ttl_seconds: 300\nobserve: {log_level: debug}\n"


class Follower:
    def __init__(self) -> None:
        self.seen: list[int] = []

    def reload(self, settings: Settings) -> None:
        self.seen.append(settings.classes["default"].ttl_seconds)


@pytest.fixture
def said() -> Iterator[LogCapture]:
    found = LogCapture()
    structlog.configure(processors=[found])
    yield found
    structlog.reset_defaults()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "pushcast.yaml"
    path.write_text(GOOD)
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    level = logging.getLogger().level
    yield path
    logging.getLogger().setLevel(level)


def samples(reloader: Reloader) -> dict[str, float]:
    return {sample.name: sample.value for sample in reloader.samples()}


def test_o1_a_broken_file_changes_nothing_and_the_log_names_line_and_column(file: Path, said: LogCapture) -> None:
    follower, clock = Follower(), ManualClock()
    reloader = Reloader(load(), [follower], clock=clock)
    read_at = samples(reloader)[Name.CONFIG_READ_AT]
    clock.advance(60)
    file.write_text(BROKEN)
    reloader.reload()
    assert samples(reloader)[Name.CONFIG_RELOADED] == 0
    assert samples(reloader)[Name.CONFIG_READ_AT] == read_at
    assert (reloader.settings.classes["default"].ttl_seconds, follower.seen) == (100, [])
    [line] = said.entries
    assert line["event"] == "configuration_not_reloaded"
    assert "line 3, column 8" in line["problem"]
    file.write_text(CHANGED)
    reloader.reload()
    assert samples(reloader)[Name.CONFIG_RELOADED] == 1
    assert samples(reloader)[Name.CONFIG_READ_AT] == read_at + 60
    assert follower.seen == [200]
    assert logging.getLogger().level == logging.DEBUG


def test_all_faults_are_named_at_once_and_nothing_of_the_file_is_taken(file: Path, said: LogCapture) -> None:
    follower = Follower()
    reloader = Reloader(load(), [follower])
    file.write_text("classes: {default: {ttl_seconds: 200, lanes: bulk}}\nkafka: {partitions: 0}\nkafak: {}\n")
    reloader.reload()
    [line] = said.entries
    for fault in ("classes.default.lanes", "kafka.partitions", "kafak"):
        assert fault in line["problem"]
    assert follower.seen == []


def test_what_needs_a_restart_keeps_its_value_and_is_told(file: Path, said: LogCapture) -> None:
    reloader = Reloader(load())
    file.write_text(CHANGED + "kafka: {partitions: 64}\n")
    reloader.reload()
    assert reloader.settings.kafka.partitions == 8
    assert samples(reloader)[Name.CONFIG_RESTART_NEEDED] == 1
    assert [line.get("restart_needed") for line in said.entries] == [None, ["kafka.partitions"]]


async def until(reloader: Reloader, ttl_seconds: int) -> None:
    async with asyncio.timeout(20):
        while reloader.settings.classes["default"].ttl_seconds != ttl_seconds:
            await asyncio.sleep(0.005)


async def test_o1_a_hangup_reads_the_file_again(file: Path, said: LogCapture) -> None:
    reloader = Reloader(load())
    task = asyncio.create_task(reloader.run(3600))
    try:
        await asyncio.sleep(0)
        file.write_text(CHANGED)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(reloader, 200)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_changed_file_is_read_without_a_signal_also_behind_a_link(file: Path, said: LogCapture) -> None:
    """As Kubernetes swaps a ConfigMap: the name is a link to a link."""
    versions = [file.with_name(name) for name in ("..v1", "..v2")]
    for version, content in zip(versions, (GOOD, CHANGED), strict=True):
        version.mkdir()
        (version / "pushcast.yaml").write_text(content)
    data = file.with_name("..data")
    data.symlink_to(versions[0].name)
    file.unlink()
    file.symlink_to("..data/pushcast.yaml")
    reloader = Reloader(load())
    task = asyncio.create_task(reloader.run(0.01))
    try:
        swapped = file.with_name("..new")
        swapped.symlink_to(versions[1].name)
        swapped.rename(data)
        await until(reloader, 200)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_file_that_goes_away_is_told_once_and_changes_nothing(file: Path, said: LogCapture) -> None:
    reloader = Reloader(load())
    file.unlink()
    task = asyncio.create_task(reloader.run(0.005))
    try:
        async with asyncio.timeout(20):
            while not said.entries:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in said.entries] == ["configuration_not_reloaded"]


@pytest.mark.parametrize("content", ["1: 2\n", "yes: {}\n", "plan: &plan [*plan]\n", "[" * 5000])
async def test_a_file_that_no_reader_of_yaml_expects_ends_no_running_process(
    file: Path, said: LogCapture, content: str
) -> None:
    """The task that looks at the file failed, which ended every role within five seconds."""
    reloader = Reloader(load())
    running = asyncio.create_task(reloader.run(every_seconds=0.01))
    file.write_text(content)
    async with asyncio.timeout(10):
        while not any(entry["event"] == "configuration_not_reloaded" for entry in said.entries):
            assert not running.done()
            await asyncio.sleep(0.01)
    assert samples(reloader)[Name.CONFIG_RELOADED] == 0
    running.cancel()
