"""Gateway processes whole, over the broker that librdkafka has inside: what they follow, write, ask and look up."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pushcast.config.settings import Settings
from pushcast.gateway import lease_server, limits, shared_quotas
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.runtime.gateway import GatewayProcess
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import dead_letter
from pushcast.wire.control.api_keys import ApiKey, Hash, KeyLimits, Scope, encode_record, new_key
from twins.broker import inner_broker
from unit.send.twin import record

DEADLINE_SECONDS = 60.0
PARTITIONS = 4
URGENT = "push.notification.urgent.v1"
#: Of what a redrive tells.
NAMES = ("executed", "letters", "redriven", "redriven_before")
FOLLOWED = (topics.API_KEY, topics.CONTROL, topics.WHERE)


class Site(NamedTuple):
    """Processes over one broker, and a key that opens all of them."""

    broker: str
    processes: list[GatewayProcess]
    key: str

    async def ask(self, number: int, method: str, path: str, body: Any = None) -> httpx.Response:
        url = f"http://127.0.0.1:{self.processes[number].server.port}{path}"
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=DEADLINE_SECONDS) as client:
            return await client.request(method, url, headers=headers, json=body)


def put(broker: str, topic: str, key: bytes, value: bytes, headers: Any = None, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": broker})
    producer.produce(topic, value, key, partition, headers=headers)
    assert producer.flush(20) == 0


def written(broker: str, topic: str) -> dict[int, int]:
    """Records by partition."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "reader"})
    try:
        ends = {each: consumer.get_watermark_offsets(TopicPartition(topic, each), 20)[1] for each in range(PARTITIONS)}
    finally:
        consumer.close()
    return {partition: end for partition, end in ends.items() if end}


@asynccontextmanager
async def site(folder: Path, count: int, **limited: int) -> AsyncIterator[Site]:
    with inner_broker(*FOLLOWED, URGENT) as broker:
        key_id, key, digest = new_key()
        value = encode_record(ApiKey(tuple(Scope), (Hash(digest, 1),), limits=KeyLimits(**limited)))
        await asyncio.to_thread(put, broker, topics.API_KEY, key_id.encode(), value)
        processes, tails = [], []
        for number in range(count):
            settings = Settings.model_validate(
                {
                    "kafka": {"bootstrap_servers": broker, "partitions": PARTITIONS},
                    "data_dir": str(folder / str(number)),
                    "apps": {"news": {}},
                    "classes": {"breaking": {"lane": "urgent"}},
                    "gateway": {"sharing": {}},
                }
            )
            assert settings.gateway is not None
            process = GatewayProcess(settings, settings.gateway)
            processes.append(process)
            tails += process.tails()
        try:
            for tail in tails:
                await tail.start()
            for process in processes:
                await process.open()
                await process.server.start("127.0.0.1", 0)
            yield Site(broker, processes, key)
        finally:
            for process in processes:
                await process.close()
            for tail in tails:
                await tail.close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time."""
    monkeypatch.setattr(shared_quotas, "LEASE_SECONDS", 600.0)
    monkeypatch.setattr(limits, "UNTOLD_SECONDS", 600.0)
    monkeypatch.setattr(lease_server, "ANSWER_SECONDS", DEADLINE_SECONDS)


async def test_g14_two_processes_find_each_other_and_keep_a_quota_together(tmp_path: Path) -> None:
    async with site(tmp_path, 2, requests_per_minute=20) as running:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for process in running.processes:
                assert process._sharing is not None
                while len(process._sharing.peers.urls()) < 2:
                    await asyncio.sleep(0.05)
        statuses = [
            (await running.ask(number % 2, "POST", "/v1/notifications", {"user": "u", "title": "t"})).status_code
            for number in range(24)
        ]
    assert (statuses.count(202), statuses.count(429)) == (20, 4)


async def test_a_bulk_is_on_kafka_in_the_partitions_and_topics_of_its_notifications(tmp_path: Path) -> None:
    async with site(tmp_path, 1) as running:
        notes = [{"id": f"n-{n}", "user": f"u-{n}", "title": "t", "class": "breaking"} for n in range(600)]
        answer = await running.ask(0, "POST", "/v1/notifications/bulk", {"notifications": [*notes, {"user": "u"}]})
        assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (207, 600, 1)
        ends = await asyncio.to_thread(written, running.broker, URGENT)
    users = (note["user"].encode() for note in notes)
    assert ends == Counter(partition_of(user, PARTITIONS) for user in users)


async def test_dead_letters_are_listed_counted_and_written_back_over_http(tmp_path: Path) -> None:
    event = json.dumps({"id": "n-1", "user": "u1", "title": "t"}).encode()
    source = record(URGENT, 1, 77, event, b"u1")
    letter = dead_letter(source, InvalidInput("provider_error", "it failed"), stage="plan")
    async with site(tmp_path, 1) as running:
        await asyncio.to_thread(
            put, running.broker, topics.dead_letter(URGENT), b"u1", letter.value or b"", list(letter.headers), 1
        )
        listed = (await running.ask(0, "GET", "/v1/dead-letters?limit=5")).json()["letters"]
        assert [(each["reason"], each["user"]) for each in listed] == [("provider_error", "u1")]
        counted = await running.ask(0, "POST", "/v1/dead-letters/redrive", {"topics": [URGENT]})
        done = await running.ask(0, "POST", "/v1/dead-letters/redrive", {"topics": [URGENT], "execute": True})
        again = await running.ask(0, "POST", "/v1/dead-letters/redrive", {"topics": [URGENT], "execute": True})
        ends = await asyncio.to_thread(written, running.broker, URGENT)
    told = [{name: answer.json()[name] for name in NAMES} for answer in (counted, done, again)]
    assert told == [
        {"executed": False, "letters": 1, "redriven": 1, "redriven_before": 0},
        {"executed": True, "letters": 1, "redriven": 1, "redriven_before": 0},
        {"executed": True, "letters": 1, "redriven": 0, "redriven_before": 1},
    ]
    assert ends == {1: 1}
