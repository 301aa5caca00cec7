"""The gateway as a process of its own on a real Kafka. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml

from flow.kafka_tools import read_all
from flow.processes import pushcast
from pushcast.kafka.embedded import Cluster, temporary_cluster
from pushcast.model.ids import partition_of

PARTITIONS = 4
DEADLINE_SECONDS = 60.0
APNS = {"key_file": "k.p8", "key_id": "ABC1234567", "team_id": "TEAM123456", "topic": "com.example.news"}
URGENT = "push.notification.urgent.v1"


@dataclass(frozen=True)
class Place:
    """A cluster of its own with the product's topics, and a configuration."""

    cluster: Cluster
    environment: dict[str, str]

    def pushcast(self, *arguments: str) -> Any:
        """What a command answers as JSON."""
        return json.loads(pushcast(self.environment, *arguments, "--output", "json"))

    def new_key(self, *options: str) -> tuple[str, str]:
        made = self.pushcast("key", "create", *options)
        return made["id"], made["key"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("gateway")
    with temporary_cluster() as cluster:
        tree = {
            "kafka": {"bootstrap_servers": cluster.bootstrap_servers, "partitions": PARTITIONS},
            "data_dir": str(folder / "data"),
            "gateway": {"port": 0, "ack_seconds": 3},
            "apps": {"news": {"apns": APNS}},
            "classes": {"breaking": {"lane": "urgent"}},
        }
        (folder / "pushcast.yaml").write_text(yaml.safe_dump(tree))
        environment = os.environ | {"PUSHCAST_CONFIG": str(folder / "pushcast.yaml")}
        environment["PUSHCAST_OBSERVE__LOG_JSON"] = "1"
        found = Place(cluster, environment)
        pushcast(environment, "topology", "apply")
        yield found


class Gateway:
    """A running `pushcast run gateway`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    def client(self, key: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{self.port}"
        return httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, verify=False, timeout=30)


@contextlib.asynccontextmanager
async def gateway(place: Place) -> AsyncIterator[Gateway]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pushcast", "run", "gateway", env=place.environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line := (await process.stderr.readline()).decode():
                said.append(line)
                if line.startswith("{") and (entry := json.loads(line)).get("event") == "listening":
                    drain = asyncio.create_task(process.stderr.read())
                    yield Gateway(process, entry["port"])
                    break
            else:
                raise AssertionError("".join(said))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await drain


def event(number: int) -> dict[str, Any]:
    return {"id": f"n-{number}", "user": f"user-{number}", "app": "news", "class": "breaking", "title": "Goal!"}


def on_kafka(place: Place) -> dict[str, dict[str, Any]]:
    """Events by where they are."""
    return {
        f"{record.topic()}/{record.partition()}/{record.offset()}": json.loads(record.value() or b"")
        for record in read_all(place.cluster.bootstrap_servers, URGENT, PARTITIONS)
    }


async def post_until_the_end(gate: Gateway, key: str, first: int) -> dict[str, int]:
    """Posts from five connections until the gateway is gone or refuses; returns the number of each record that it
    answered for."""
    answered: dict[str, int] = {}

    async def post(number: int) -> None:
        async with gate.client(key) as client:
            while True:
                try:
                    answer = await client.post("/v1/notifications", json=event(number))
                except httpx.HTTPError:
                    return
                if answer.status_code != 202:
                    return
                answered[answer.json()["record"]] = number
                number += 5

    await asyncio.gather(*(post(first + each) for each in range(5)))
    return answered


async def test_g1_g12_g13_a_key_opens_the_door_until_it_is_disabled(place: Place) -> None:
    key_id, key = place.new_key("--label", "newsroom")
    async with gateway(place) as gate:
        async with gate.client(key) as client:
            answer = await client.post("/v1/notifications", json=event(1))
            assert answer.status_code == 202, answer.text
            record = answer.json()["record"]
            assert record.startswith(f"{URGENT}/{partition_of(b'user-1', PARTITIONS)}/")
            assert on_kafka(place)[record] == event(1)
            rotated = (await asyncio.to_thread(place.pushcast, "key", "rotate", key_id))["key"]
            async with gate.client(rotated) as newer:
                await _until(newer, 202)
                assert (await client.post("/v1/notifications", json=event(2))).status_code == 202
            await asyncio.to_thread(place.pushcast, "key", "disable", key_id)
            await _until(client, 401)
        gate.process.terminate()
        assert await gate.process.wait() == 0
    (listed,) = [row for row in place.pushcast("key", "list")["keys"] if row["id"] == key_id]
    assert (listed["label"], listed["disabled"], len(listed["hashes"])) == ("newsroom", True, 2)
    assert key.split("_", 2)[2] not in json.dumps(listed)


async def _until(client: httpx.AsyncClient, status: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (answer := await client.post("/v1/notifications", json=event(3))).status_code != status:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_g21_g22_what_was_answered_is_on_kafka_however_the_gateway_ends(
    place: Place, number: signal.Signals
) -> None:
    _, key = place.new_key()
    async with gateway(place) as gate:
        load = asyncio.create_task(post_until_the_end(gate, key, 1000 * number))
        await asyncio.sleep(1.5)
        gate.process.send_signal(number)
        answered = await asyncio.wait_for(load, DEADLINE_SECONDS)
        code = await gate.process.wait()
    assert code == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    assert len(answered) > 20
    written = on_kafka(place)
    assert {record: event(each) for record, each in answered.items()} == {each: written.get(each) for each in answered}


async def test_g19_g20_an_outage_is_told_and_a_repeat_after_it_is_written(place: Place) -> None:
    _, key = place.new_key()
    async with gateway(place) as gate, gate.client(key) as client:
        assert (await client.post("/v1/notifications", json=event(7))).status_code == 202
        place.cluster.pause_broker(0)
        try:
            first = await client.post("/v1/notifications", json=event(8))
            second = await client.post("/v1/notifications", json=event(9))
            health = await client.get("/v1/health")
        finally:
            place.cluster.resume_broker(0)
        await _until(client, 202)
        again = await client.post("/v1/notifications", json=event(8))
    assert (first.status_code, first.json()["type"]) == (503, "/problems/ack_timeout")
    assert (second.status_code, second.json()["type"]) == (503, "/problems/kafka_unavailable")
    assert health.status_code == 503
    assert again.status_code == 202
    written = [each for each in on_kafka(place).values() if each["id"] in ("n-8", "n-9")]
    assert {each["id"] for each in written} == {"n-8"}, "a refused request writes nothing"
