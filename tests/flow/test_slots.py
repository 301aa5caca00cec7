"""Two `run all` with one slot, each in a folder of its own, as on two hosts: one of them lives on (rulings I.5)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml

from flow.kafka_tools import produce, until
from pushcast.demo.world import ready
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.simulators import Simulator, start
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import topics

PARTITIONS = 2
PROCESSES = 3  # registrar-settler, planner and sender of one lane
START_SECONDS = 90.0
IN_FLIGHT = 10
USERS = 20
EVENTS_EACH = 5


class Hosts:
    """One cluster and one provider."""

    def __init__(self, kafka: str, folder: Path, simulator: Simulator) -> None:
        self.kafka, self.folder, self.simulator = kafka, folder, simulator

    def data(self, name: str) -> Path:
        return self.folder / name / "data"

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text()

    @contextmanager
    def run_all(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        folder = self.folder / name
        folder.mkdir()
        settings = {
            "kafka": {"bootstrap_servers": self.kafka, "partitions": PARTITIONS},
            "data_dir": str(self.data(name)),
            "send": {"max_in_flight": IN_FLIGHT},
            "apps": {"news": {"apns": provider_settings(self.simulator.describe())}},
        }
        (folder / "pushcast.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        environment = {**os.environ, "PUSHCAST_CONFIG": str(folder / "pushcast.yaml")}
        command = child_command("run", "all", "--lane", Lane.NORMAL, "--platform", "apns")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(START_SECONDS)

    def are_ready(self, name: str) -> bool:
        found = whereabouts.read_all(self.data(name)) if self.data(name).exists() else []
        return len(found) == PROCESSES and all(map(ready, found))

    def write(self, topic: str, *events: tuple[str, dict[str, Any]]) -> None:
        rows = [(partition_of(user.encode(), PARTITIONS), user.encode(), json.dumps(e).encode()) for user, e in events]
        produce(self.kafka, topic, rows)

    def pushes(self) -> int:
        return int(self.simulator.provider.recorder.accepted)


@pytest_asyncio.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[Hosts]:
    async with _hosts(tmp_path) as made:
        yield made


@asynccontextmanager
async def _hosts(folder: Path) -> AsyncIterator[Hosts]:
    cluster = temporary_cluster()
    kafka = (await asyncio.to_thread(cluster.__enter__)).bootstrap_servers
    try:
        await asyncio.to_thread(apply, {"bootstrap.servers": kafka}, load_topology(), PARTITIONS, 1)
        async with start("apns", work_dir=folder / "apns") as simulator:
            yield Hosts(kafka, folder, simulator)
    finally:
        await asyncio.to_thread(cluster.__exit__, None, None, None)


async def test_exactly_one_of_two_run_all_lives_on_and_the_other_names_it(hosts: Hosts) -> None:
    users = [f"user-{number}" for number in range(USERS)]
    device = {"op": "register", "app": "news", "device": "d", "platform": "apns"}
    hosts.write(topics.DEVICE_CHANGED, *((user, {**device, "token": f"{at:064x}"}) for at, user in enumerate(users, 1)))
    with hosts.run_all("first") as first:
        await until(lambda: hosts.are_ready("first"), "the first is ready", START_SECONDS)
        with hosts.run_all("second") as second:
            for number in range(EVENTS_EACH):
                event = {"id": f"n{number}", "app": "news", "title": "t"}
                hosts.write(topics.notification(Lane.NORMAL), *((user, event) for user in users))
                await asyncio.sleep(1)
            await until(lambda: second.poll() is not None, "the second ends", START_SECONDS)
            assert (second.returncode, first.poll()) == (2, None), hosts.log("second")[-3000:]
            pids = {str(entry.pid) for entry in whereabouts.read_all(hosts.data("first"))}
            named = [line for line in hosts.log("second").splitlines() if "that of the process with pid" in line]
            assert any(f"pid {pid} on host" in named[0] for pid in pids), named
        await until(lambda: hosts.are_ready("first"), "the first has its partitions again", START_SECONDS)
        await until(lambda: hosts.pushes() >= USERS * EVENTS_EACH, "every event is pushed", START_SECONDS)
        assert hosts.pushes() <= USERS * EVENTS_EACH + IN_FLIGHT, "more twice than one kill costs"
        assert first.poll() is None
