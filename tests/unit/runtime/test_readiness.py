"""Doors and reporters tell their supervisor when everything is ready, as roles do.

A supervisor that does not hear one of its processes tells systemd nothing (`Type=notify`: the service is ended after
`TimeoutStartSec`), and passes no SIGHUP on to it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.kafka.topics.facts import ClusterFacts, TopicFacts
from pushcast.report.apply import BOOKS
from pushcast.runtime import console, door, gateway, reporter, start
from pushcast.runtime.layout import ProcessPlan
from pushcast.runtime.reload import Reloader
from pushcast.transport import stage_tasks
from pushcast.wire import topics
from twins.broker import inner_broker

PARTITIONS = 2
DEADLINE_SECONDS = 60.0


class ReadyPipe(NamedTuple):
    readable: int
    writable: int

    async def told(self) -> list[bytes]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                try:
                    return os.read(self.readable, 100).splitlines()
                except BlockingIOError:
                    await asyncio.sleep(0.02)


@pytest.fixture
def ready() -> Iterator[ReadyPipe]:
    ends = ReadyPipe(*os.pipe())
    os.set_blocking(ends.readable, False)
    yield ends
    for end in ends:
        os.close(end)


class DoorTwin:
    """What `serve` needs of a door; it listens nowhere."""

    name = "gateway"
    port = 0
    keys = ()

    def __init__(self) -> None:
        self.metrics = self.page = self.server = self

    def add_source(self, source: Any) -> None: ...
    def reload(self, settings: Settings) -> None: ...
    def tails(self) -> list[Any]:
        return []

    async def open(self) -> None: ...
    async def start(self, *_: Any) -> None: ...
    async def close(self) -> None: ...


async def test_a_door_that_listens_tells_its_supervisor(
    ready: ReadyPipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "check_cluster", lambda settings: None)
    settings = Settings.model_validate({"data_dir": str(tmp_path), "gateway": {}})
    assert settings.gateway is not None
    twin = cast(door.DoorProcess, DoorTwin())
    serving = asyncio.create_task(door.serve(settings, lambda: twin, settings.gateway, ready.writable))
    assert await ready.told() == [b"%d" % os.getpid()]
    os.kill(os.getpid(), signal.SIGTERM)
    assert await serving == 0


async def test_a_door_that_waits_for_its_topics_takes_sigterm_as_any_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took note of it, and ended a minute later, or by SIGKILL: a topic may have no leader for so long."""
    before, seen = signal.getsignal(signal.SIGTERM), []

    class Tail:
        async def start(self) -> None:
            seen.append(signal.getsignal(signal.SIGTERM))
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda *_: None)  # the test itself shall not end

        async def close(self) -> None: ...

    twin = DoorTwin()
    monkeypatch.setattr(twin, "tails", lambda: [Tail()])
    monkeypatch.setattr(door, "check_cluster", lambda settings: None)
    settings = Settings.model_validate({"data_dir": str(tmp_path), "gateway": {}})
    assert settings.gateway is not None
    try:
        await door.serve(settings, lambda: cast(door.DoorProcess, twin), settings.gateway)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [before]


async def test_a_reporter_that_listens_tells_its_supervisor(
    ready: ReadyPipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = ClusterFacts("cluster", {topic: TopicFacts(topic, PARTITIONS) for topic in BOOKS})
    monkeypatch.setattr(reporter, "check_cluster", lambda settings: facts)
    with inner_broker(*BOOKS, topics.WHERE) as broker:
        kafka = {"bootstrap_servers": broker, "partitions": PARTITIONS}
        settings = Settings.model_validate({"data_dir": str(tmp_path), "kafka": kafka, "reports": {}})
        assert settings.reports is not None
        running = asyncio.create_task(reporter.run(settings, settings.reports, "local", ready.writable))
        assert await ready.told() == [b"%d" % os.getpid()]
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0


def _given(given: list[Any], *arguments: Any) -> int:
    given.append(arguments[-1])
    return 0


async def test_a_task_beside_a_door_that_fails_ends_the_process(
    ready: ReadyPipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door went on, and took no configuration any more; nothing said so."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def fail(_: Any) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(door, "check_cluster", lambda settings: None)
    monkeypatch.setattr(Reloader, "run", fail)
    monkeypatch.setattr(stage_tasks, "end_process", lambda what, error: ended.set_result(f"{what}: {error!r}"))
    settings = Settings.model_validate({"data_dir": str(tmp_path), "gateway": {}})
    assert settings.gateway is not None
    serving = asyncio.create_task(door.serve(settings, lambda: cast(door.DoorProcess, DoorTwin()), settings.gateway))
    assert (await asyncio.wait_for(ended, DEADLINE_SECONDS)).endswith("failed: KeyError('gone')")
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


@pytest.mark.parametrize("role", ["gateway", "console", "reporter"])
def test_the_descriptor_reaches_each_of_them(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    for module, name in ((gateway, "run_gateway"), (console, "run_console"), (reporter, "run_reporter")):
        monkeypatch.setattr(module, name, partial(_given, given))
    assert start.run(Settings(), ProcessPlan(role, (role,), ready_fd=42)) == 0
    assert given == [42]
