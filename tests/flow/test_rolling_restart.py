"""Four static members of every group are restarted one after the other, as a StatefulSet does it (doors.md, O5)."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flow.generations import generations, stable
from flow.kafka_tools import produce, read_all, until
from pushcast.demo.world import ready
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.simulators import Simulator, start
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import groups, topics
from twins.books import planned, receipt

pytestmark = pytest.mark.timeout(600)
PARTITIONS = 4
MEMBERS = 4
AWAY_SECONDS = 20
#: However slowly a member starts here, it is back within this time.
SESSION_SECONDS = 240
START_SECONDS = 120.0
USERS = 20
LANE = Lane.URGENT


class Member:
    """A process with a slot and a disk of its own."""

    def __init__(self, folder: Path, slot: str, tree: dict[str, Any], command: Sequence[str]) -> None:
        self._folder, self.slot = folder / slot, slot
        self._command = child_command("run", *command, "--slot", slot)
        self._data = self._folder / "data"
        self._folder.mkdir()
        file = self._folder / "pushcast.yaml"
        file.write_text(yaml.safe_dump({**tree, "data_dir": str(self._data)}, sort_keys=False))
        self._environment = {**os.environ, "PUSHCAST_CONFIG": str(file)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return any(map(ready, whereabouts.read_all(self._data)))

    def partitions(self) -> list[int]:
        """Of a reporter."""
        [entry] = whereabouts.read_all(self._data)
        found: list[int] = httpx.get(f"{entry.url}/_info", trust_env=False, verify=False).json()["partitions"]
        return found

    def pushcast(self, *arguments: str) -> Any:
        command = child_command(*arguments, "--output", "json")
        return json.loads(subprocess.run(command, env=self._environment, capture_output=True, check=True).stdout)

    async def stop(self) -> int:
        """As an upgrade does it; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait, START_SECONDS)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self._folder / "log").read_text()[-3000:]


class Site:
    """A Kafka with four members of each group and one provider."""

    def __init__(self, kafka: str, members: list[Member], simulator: Simulator) -> None:
        self.kafka, self.members, self._simulator = kafka, members, simulator
        self.users = [f"user-{number}" for number in range(USERS)]
        self.written = 0

    def write(self, topic: str, *events: tuple[str, dict[str, Any]]) -> None:
        rows = [(partition_of(user.encode(), PARTITIONS), user.encode(), json.dumps(e).encode()) for user, e in events]
        produce(self.kafka, topic, rows)

    def notify(self) -> None:
        """One notification for each user."""
        self.written += 1
        event = {"id": f"n{self.written}", "app": "news", "title": f"t{self.written}"}
        self.write(topics.notification(LANE), *((user, event) for user in self.users))

    def pushes(self) -> int:
        return int(self._simulator.provider.recorder.accepted)

    def everything_is_pushed(self) -> bool:
        return self.pushes() >= USERS * self.written

    async def shared_out(self) -> dict[str, int]:
        """Generations of the groups, once all members are ready and no group is being shared out."""
        for member in self.members:
            await until(member.is_ready, f"{member.slot} is ready", START_SECONDS)
        async with asyncio.timeout(START_SECONDS):
            while True:
                found = await asyncio.to_thread(generations, self.kafka)
                if set(found) == await asyncio.to_thread(stable, self.kafka, MEMBERS):
                    return found
                await asyncio.sleep(0.5)


@asynccontextmanager
async def site(folder: Path, *command: str) -> AsyncIterator[Site]:
    """`command`: what each member runs."""
    async with AsyncExitStack() as stack:
        cluster = temporary_cluster()
        kafka = (await asyncio.to_thread(cluster.__enter__)).bootstrap_servers
        stack.push_async_callback(asyncio.to_thread, cluster.__exit__, None, None, None)
        await asyncio.to_thread(apply, {"bootstrap.servers": kafka}, load_topology(), PARTITIONS, 1)
        simulator = await stack.enter_async_context(start("apns", work_dir=folder / "apns"))
        tree = {
            "kafka": {
                "bootstrap_servers": kafka,
                "partitions": PARTITIONS,
                "session_timeout_seconds": SESSION_SECONDS,
            },
            "classes": {"breaking": {"report": "full"}},
            "apps": {"news": {"apns": provider_settings(simulator.describe())}},
        }
        members = [Member(folder, f"member-{number}", tree, command) for number in range(MEMBERS)]
        for member in members:
            stack.callback(member.kill)
        yield Site(kafka, members, simulator)


async def test_o5_a_rolling_restart_of_static_members_moves_no_partition_and_loses_nothing(tmp_path: Path) -> None:
    roles = ("registrar", "planner", "sender", "settler", "keeper")
    async with site(tmp_path, *roles, "--lane", LANE, "--platform", "apns") as running:
        device = {"op": "register", "app": "news", "device": "d", "platform": "apns"}
        registrations = ((user, {**device, "token": f"{at:064x}"}) for at, user in enumerate(running.users, 1))
        running.write(topics.DEVICE_CHANGED, *registrations)
        for member in running.members:
            member.start()
        before = await running.shared_out()
        await until(
            lambda: len(read_all(running.kafka, topics.DEVICE, PARTITIONS)) >= USERS, "devices are known", START_SECONDS
        )
        running.notify()
        await until(running.everything_is_pushed, "the first is pushed", START_SECONDS)
        for member in running.members:
            assert await member.stop() == 0, member.log()
            for _ in range(AWAY_SECONDS):
                running.notify()
                await asyncio.sleep(1)
            member.start()
            await until(member.is_ready, f"{member.slot} is ready again", START_SECONDS)
        await until(running.everything_is_pushed, "nothing is lost", START_SECONDS)
        assert await running.shared_out() == before, "a group was shared out anew"
        assert len(before) > 4
        assert running.pushes() == USERS * running.written, "something was pushed twice"


def write_books(kafka: str, users: list[str], number: int) -> None:
    """A notification for each user that was planned for one device and accepted."""
    now_ms, note = time.time_ns() // 1_000_000, f"n{number}"
    plans: list[tuple[int, bytes | None, bytes | None]] = []
    receipts: list[tuple[int, bytes | None, bytes | None]] = []
    for at, user in enumerate(users, number * USERS):
        partition = partition_of(user.encode(), PARTITIONS)
        plans.append((partition, None, planned((at, note, {"apns": 1}, ""), created_at=now_ms)))
        receipts.append((partition, user.encode(), receipt(note, user, "d", created_at=now_ms, ended_at=now_ms + 5)))
    produce(kafka, topics.PLANNED, plans)
    produce(kafka, topics.RECEIPT, receipts)


async def test_o5_reporters_keep_their_partitions_over_a_rolling_restart(tmp_path: Path) -> None:
    """Their stores lie on their disks: partitions that moved would be read anew, from seven days ago."""
    async with site(tmp_path, "reporter") as running:
        for member in running.members:
            member.start()
        before = await running.shared_out()
        assert set(before) == {groups.REPORT}
        owned = [member.partitions() for member in running.members]
        assert sorted(itertools.chain(*owned)) == list(range(PARTITIONS))
        for number, member in enumerate(running.members):
            assert await member.stop() == 0, member.log()
            write_books(running.kafka, running.users, number)
            member.start()
            await until(member.is_ready, f"{member.slot} is ready again", START_SECONDS)
        assert await running.shared_out() == before, "the group was shared out anew"
        assert [member.partitions() for member in running.members] == owned

        def reports() -> dict[str, tuple[int, bool]]:
            found = running.members[0].pushcast("report", "list")
            return {row["id"]: (row["outcomes"]["accepted"], row["complete"]) for row in found["reports"]}

        async with asyncio.timeout(START_SECONDS):
            while await asyncio.to_thread(reports) != {f"n{number}": (USERS, True) for number in range(MEMBERS)}:
                await asyncio.sleep(0.5)
