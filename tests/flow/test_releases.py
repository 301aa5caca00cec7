"""Roles of this release beside those of the one before, which is in the repository's own history (rulings I.7).

Each step replaces some roles and then sends: through devices of the release before, through one that was registered in
this step, through one whose provider fails at first (retry ladder, settler) and one whose token is dead (registrar).
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from flow.kafka_tools import produce, read_all
from pushcast.audit.reader import Books
from pushcast.config.settings import Settings
from pushcast.demo.world import ready
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.headers import headers_of
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.simulators import Simulator, start
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.headers import is_data
from pushcast.wire.schemas import FRAME_BYTES, avro_type, released_type, written_type
from snippets import ROOT

#: The last state before the schemas of this release; it knows neither them nor `schemas.write`.
BEFORE = "936dbe867bc3c6c75d59dc162f35946acafedfcb"
PARTITIONS = 2
ROLES = ("registrar", "planner", "sender", "settler")
STABLE = [f"user-{number}" for number in range(6)]
START_SECONDS = 120.0

#: What runs in each step: the release before, or this one and the generation of schemas that it writes.
OLD, FIRST, SECOND = None, 1, 2
STEPS: list[dict[str, int | None]] = [
    {"registrar": FIRST, "planner": OLD, "sender": FIRST, "settler": OLD},  # new rows, retries for old; old batches
    {"registrar": OLD, "planner": FIRST, "sender": OLD, "settler": FIRST},  # upgraded, and taken back, in place
    dict.fromkeys(ROLES, SECOND),
]


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, as the history has it."""
    command = ["git", "-C", str(ROOT), "archive", BEFORE, "app", "schemas", "topology", "pyproject.toml"]
    archived = subprocess.run(command, capture_output=True, check=False)
    if archived.returncode != 0:
        pytest.skip(f"the release before is not in this copy's history (a shallow clone?): {archived.stderr.decode()}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


class World:
    """One cluster, one provider, and the process of each role."""

    def __init__(self, kafka: str, folder: Path, simulator: Simulator, old_code: Path) -> None:
        self.kafka, self.folder, self.simulator, self._old_code = kafka, folder, simulator, old_code
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._base: dict[str, Any] = {
            "kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS},
            "data_dir": str(folder / "data"),
            "send": {"attempts": 1},
            "retry": {"rungs_seconds": [0.2, 0.5, 1.0, 2.0]},
            "apps": {"news": {"apns": provider_settings(simulator.describe())}},
        }
        self.settings = Settings.model_validate(self._base)

    async def replace(self, replaced: Mapping[str, int | None]) -> None:
        """Stops the processes of these roles in order and starts another release's at once, each with its data folder.

        The releases read other topics: a process that took the old one's place in the group would get none of them.
        """
        stopped = [(role, process) for role in replaced if (process := self._processes.pop(role, None)) is not None]
        for _, process in stopped:
            process.terminate()
        for role, process in stopped:
            assert await asyncio.to_thread(process.wait, START_SECONDS) == 0, self.log(role)
        for role, write in replaced.items():
            self._start(role, write)

    def _start(self, role: str, write: int | None) -> None:
        settings = self._base if write is None else {**self._base, "schemas": {"write": write}}
        path = self.folder / f"{role}.yaml"
        path.write_text(yaml.safe_dump(settings))
        environment = {**os.environ, "PUSHCAST_CONFIG": str(path)}
        if write is None:
            environment["PYTHONPATH"] = str(self._old_code / "app")
        own = ["--platform", "apns"] if role == "sender" else []
        command = [sys.executable, "-m", "pushcast", "run", role, "--slot", role, "--lane", Lane.NORMAL, *own]
        with (self.folder / f"{role}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        self._processes[role] = process

    async def are_ready(self) -> None:
        def ask() -> bool:
            for role, process in self._processes.items():
                assert process.poll() is None, self.log(role)
            pids = {process.pid for process in self._processes.values()}
            found = [entry for entry in whereabouts.read_all(self.folder / "data") if entry.pid in pids]
            return len(found) == len(pids) and all(map(ready, found))

        await soon(ask, "all roles are ready")

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text()[-4000:]

    def write(self, topic: str, *events: tuple[str, dict[str, object]]) -> None:
        rows = [(partition_of(user.encode(), PARTITIONS), user.encode(), json.dumps(e).encode()) for user, e in events]
        produce(self.kafka, topic, rows)

    def register(self, user: str, token: str) -> None:
        device: dict[str, object] = {"op": "register", "app": "news", "device": "d", "platform": "apns", "token": token}
        self.write(topics.DEVICE_CHANGED, (user, device))

    def states(self) -> dict[str, str]:
        """Of each user's device."""
        found: dict[str, str] = {}
        for record in read_all(self.kafka, topics.DEVICE, PARTITIONS):
            key, value = record.key() or b"", record.value()
            if value and key[:1] not in (b"\0", b"\xff"):  # fences of this release and of the one before
                found[key.partition(b"\0")[0].decode()] = decode_row(value).state
        return found

    def receipts(self) -> list[dict[str, Any]]:
        values = [record.value() for record in read_all(self.kafka, topics.RECEIPT, PARTITIONS)]
        return [decode_receipt(value) for value in values if value]

    def frames(self, topic: str) -> set[bytes]:
        return {value[:FRAME_BYTES] for record in read_all(self.kafka, topic, PARTITIONS) if (value := record.value())}

    def dead_letters(self) -> list[tuple[str, bytes | None]]:
        letters = [topic for topic in load_topology().topics if topic.source is not None]
        found = [
            (topic.name, record)
            for topic in letters
            for record in read_all(self.kafka, topic.name, topic.partitions(PARTITIONS))
        ]
        return [(name, record.value()) for name, record in found if is_data(record.value(), headers_of(record))]

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


@asynccontextmanager
async def worlds(folder: Path, old_code: Path) -> AsyncIterator[World]:
    with cluster() as kafka:
        await asyncio.to_thread(apply, {"bootstrap.servers": kafka}, load_topology(), PARTITIONS, 1)
        async with start("apns", work_dir=folder / "apns") as simulator:
            world = World(kafka, folder, simulator, old_code)
            try:
                yield world
            finally:
                world.stop()


@contextmanager
def cluster() -> Iterator[str]:
    with temporary_cluster() as made:
        yield made.bootstrap_servers


async def soon(holds: Callable[[], bool], what: str) -> None:
    """Asks again and again, beside the loop that the provider needs."""
    deadline = time.monotonic() + START_SECONDS
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.5)


async def send(world: World, step: int) -> Counter[str]:
    """Notifications of one step, to the end of all; returns their outcomes."""
    fresh, failing, dead = (f"{kind}-{step}" for kind in ("fresh", "failing", "dead"))
    world.register(fresh, f"{step:08x}" + "1" * 56)
    world.register(failing, f"f1a00001{step:056x}")  # 503 for the first request, then accepted
    world.register(dead, f"dead0410{step:056x}")  # 410 as of now
    if step == 0:
        for number, user in enumerate(STABLE):
            world.register(user, f"{number:08x}" + "2" * 56)
    users = [*STABLE, fresh, failing, dead]
    await soon(lambda: set(users) <= world.states().keys(), f"step {step}: the devices are registered")
    note = f"note-{step}"
    event: dict[str, object] = {"id": note, "app": "news", "title": "t"}
    world.write(topics.notification(Lane.NORMAL), *((user, event) for user in users))
    mine: list[dict[str, Any]] = []

    def ended() -> bool:
        mine[:] = [receipt for receipt in world.receipts() if receipt["notification_id"] == note]
        return len(mine) >= len(users)

    await soon(ended, f"step {step}: every delivery has ended")
    await soon(lambda: world.states()[dead] == "suspended", f"step {step}: the dead token is suspended")
    return Counter(receipt["outcome"] for receipt in mine)


@pytest.mark.timeout(560)  # twelve processes start in it
async def test_each_role_works_beside_the_release_before_in_both_directions(tmp_path: Path, old_code: Path) -> None:
    """Issue 10, step 5: old and new of each role beside each other, each upgraded or taken back in place."""
    sides = {topics.RECEIPT: "receipt", topics.PLANNED: "planned"}
    async with worlds(tmp_path, old_code) as world:
        for step, replaced in enumerate(STEPS):
            await world.replace(replaced)
            await world.are_ready()
            assert await send(world, step) == {"accepted": len(STABLE) + 2, "invalid": 1}, f"step {step}"
            written = {topic: world.frames(topic) for topic in sides}
            if step < len(STEPS) - 1:
                plain = {topic: {written_type(schema, 1).frame} for topic, schema in sides.items()}
                assert written == plain, f"step {step}: the release before cannot read that"
        # The third form of planned rows is for what the keeper lets go of broadcasts alone.
        newest = {topics.RECEIPT: avro_type("receipt").frame, topics.PLANNED: released_type("planned", 2).frame}
        assert all(frame in written[topic] for topic, frame in newest.items())
        assert world.dead_letters() == []
        assert world.simulator.provider.recorder.accepted == len(STEPS) * (len(STABLE) + 2)
        with Books(world.settings) as books:
            totals = await asyncio.to_thread(books.reckon, None)
        assert (totals.balanced, totals.copies_of_receipts) == (True, 0), totals.to_dict()
