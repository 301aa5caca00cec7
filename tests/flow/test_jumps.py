"""Logs that do not hold what the group stands at: retention, and topics that were made again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from flow.kafka_tools import committed, create_topic, lag, produce, running, until
from flow.test_transport import PARTITIONS, Collect, app_with
from pushcast.kafka.clients import client_config
from pushcast.kafka.topics.facts import cluster_facts
from pushcast.stream.batch import TP
from pushcast.transport import consumer as consumer_module
from pushcast.transport.host import state


async def test_what_retention_took_from_a_lagging_group_is_counted_and_said_once(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    produce(kafka, topic, [(0, None, b"%d" % number) for number in range(5)])
    async with running(first := app_with(Collect(), kafka, group, topic, tmp_path)):
        await until(lambda: lag(first) == 0, "all is done")
    produce(kafka, topic, [(0, None, b"%d" % number) for number in range(5, 20)])
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_records([TopicPartition(topic, 0, 12)]).values():
        await asyncio.to_thread(future.result, 10)
    stage = Collect()
    async with running(app := app_with(stage, kafka, group, topic, tmp_path)):
        await until(lambda: len(stage.values) == 8, "what is left is handled")
        assert state(app).jumped == {topic: 7}
        await until(lambda: lag(app) == 0, "nothing is left")
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in said] == [
        f"{topic}[0] goes on at offset 12 instead of 5: retention deleted 7 offsets that were not handled"
    ]


async def test_a_shorter_log_ends_the_process_and_is_taken_up_from_its_beginning(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    produce(kafka, topic, [(0, None, b"old %d" % number) for number in range(20)])
    ends: list[BaseException] = []
    monkeypatch.setattr(consumer_module, "end_process", lambda what, exc: ends.append(exc))
    before = cluster_facts(client_config(kafka, None), [topic])
    async with running(app := app_with(stage := Collect(), kafka, group, topic, tmp_path)):
        await until(lambda: len(stage.values) == 20 and lag(app) == 0, "the old log is read")
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.delete_topics([topic])[topic].result(10)
        deadline = time.monotonic() + 30
        while not await asyncio.to_thread(made_again, kafka, topic):
            assert time.monotonic() < deadline, "the topic cannot be made again"
        await asyncio.to_thread(produce, kafka, topic, [(0, None, b"new")])
    after = cluster_facts(client_config(kafka, None), [topic])
    assert before.log_id(topic) != after.log_id(topic)
    async with running(app := app_with(stage := Collect(), kafka, group, topic, tmp_path)):
        await until(lambda: b"new" in stage.values or bool(ends), "the new log is read, or its offset refused")
        if ends:
            assert app._consumer is not None
            assert TP(topic, 0) in app._consumer.assignment()
    if ends:
        assert "is shorter now" in str(ends[0])
        found = await committed(kafka, group, topic, 1)
        assert found[0][0] == 0


def made_again(kafka: str, topic: str) -> bool:
    try:
        create_topic(kafka, topic, PARTITIONS)
    except Exception:
        time.sleep(0.2)
        return False
    return True


async def test_a_member_of_another_kind_is_named_and_waited_for(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    # The stages' Apps share a group with `roundrobin` where they have no table.
    stranger = Consumer({"bootstrap.servers": kafka, "group.id": group, "partition.assignment.strategy": "range"})
    stranger.subscribe([topic])
    deadline = time.monotonic() + 30
    while not stranger.assignment():
        assert time.monotonic() < deadline, "the stranger does not join"
        await asyncio.to_thread(stranger.poll, 0.1)
    app = app_with(stage := Collect(), kafka, group, topic, tmp_path)
    waiting = asyncio.create_task(leave_when_named(stranger, lambda: list(state(app).problems)))
    produce(kafka, topic, [(0, None, b"waited")])
    async with running(app):
        await until(lambda: b"waited" in stage.values, "it joins when the stranger has left")
        assert list(state(app).problems) == []
    (problem,) = await waiting
    assert "a client of another kind is a member of the group" in problem


async def leave_when_named(stranger: Consumer, problems: Callable[[], list[str]]) -> list[str]:
    while not (found := problems()):
        await asyncio.to_thread(stranger.poll, 0.05)
    stranger.close()
    return found
