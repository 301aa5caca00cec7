"""The service level and a canary on a real Kafka (doors.md, O3 and O4): stages stand still under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from flow.kafka_tools import produce
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.simulators import start
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import topics

pytestmark = pytest.mark.timeout(400)
PARTITIONS = 2
WITHIN_SECONDS = 3
START_SECONDS = 90.0
#: Settlers ask every 30 s for what waits for planners.
WAIT_SECONDS = 100.0
DEAD_PORT = 9  # nobody listens


class Site:
    """A `run all` of the urgent lane, with a canary of an app whose provider answers and one whose does not."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.environment = {**os.environ, "PUSHCAST_CONFIG": str(folder / "pushcast.yaml")}
        self.written = 0

    def configure(self, line: dict[str, Any]) -> None:
        token = self.folder / "canary.token"
        token.write_text("ca" * 32)
        canary = {"canary": {"token_file": str(token), "every_seconds": 60, "mode": "real"}}
        apns = provider_settings(line) | canary
        tree = {
            "kafka": {"bootstrap_servers": self.kafka, "partitions": PARTITIONS},
            "data_dir": str(self.folder / "data"),
            "slo": {"within_seconds": WITHIN_SECONDS},
            "reports": {},
            "apps": {
                "news": {"apns": apns},
                "chat": {"apns": apns | {"endpoint": f"https://127.0.0.1:{DEAD_PORT}"}},
            },
        }
        (self.folder / "pushcast.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))

    def pid(self, role: str) -> int:
        [found] = [each.pid for each in whereabouts.read_all(self.folder / "data") if role in each.name]
        return found

    def write(self, topic: str, user: str, event: dict[str, Any]) -> None:
        produce(
            self.kafka, topic, [(partition_of(user.encode(), PARTITIONS), user.encode(), json.dumps(event).encode())]
        )

    async def level(self, true: Callable[[dict[str, Any]], bool], seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """What `pushcast slo` shows, once it is so; events come meanwhile."""
        async with asyncio.timeout(seconds):
            while True:
                for _ in range(5):
                    self.written += 1
                    event = {"id": f"n{self.written}", "app": "news", "title": "t"}
                    self.write(topics.notification(Lane.URGENT), "ann", event)
                ran = await asyncio.to_thread(self._slo)
                if ran.returncode in (0, 1) and true(found := json.loads(ran.stdout)):
                    return found | {"code": ran.returncode}
                await asyncio.sleep(1.0)

    def _slo(self) -> subprocess.CompletedProcess[str]:
        command = child_command("slo", "--output", "json")
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    cluster = temporary_cluster()
    kafka = (await asyncio.to_thread(cluster.__enter__)).bootstrap_servers
    try:
        await asyncio.to_thread(apply, {"bootstrap.servers": kafka}, load_topology(), PARTITIONS, 1)
        async with start("apns", work_dir=folder / "apns") as simulator:
            made = Site(kafka, folder)
            made.configure(simulator.describe())
            command = child_command("run", "all", "--lane", Lane.URGENT, "--platform", "apns")
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(command, env=made.environment, stdout=log, stderr=log)
            try:
                yield made
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait, START_SECONDS)
    finally:
        await asyncio.to_thread(cluster.__exit__, None, None, None)


async def test_o3_o4_a_dead_provider_and_stages_that_stand_still_show_in_the_service_level(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        device = {"op": "register", "app": "news", "device": "d", "platform": "apns", "token": "ab" * 32}
        running.write(topics.DEVICE_CHANGED, "ann", device)

        def accepted(level: dict[str, Any]) -> dict[str, str | None]:
            return {each["app"]: each["last_accepted_at"] for each in level["canaries"]}

        found = await running.level(lambda level: accepted(level).get("news") is not None, START_SECONDS + WAIT_SECONDS)
        assert accepted(found)["chat"] is None, "its provider is dead"

        def late(level: dict[str, Any]) -> int:
            return sum(row["late"] for row in level["classes"])

        before = late(await running.level(lambda level: bool(level["lanes"])))
        sender = running.pid("sender")
        os.kill(sender, signal.SIGSTOP)
        try:
            # Planners work: on a slow machine what they had not planned yet is late, too, until they have.
            await running.level(lambda level: late(level) > before and level["unplanned_late"] == {})
        finally:
            os.kill(sender, signal.SIGCONT)
        planner = running.pid("planner")
        os.kill(planner, signal.SIGSTOP)
        try:
            found = await running.level(lambda level: bool(level["unplanned_late"]))
        finally:
            os.kill(planner, signal.SIGCONT)
        assert found["unplanned_late"]["urgent"] > 0
        assert found["code"] == 1
