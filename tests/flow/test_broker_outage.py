"""The broker dies and comes back under a running stage."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from flow.kafka_tools import committed, create_topic, lag, produce, read_all, running, until
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.kafka.positions import open_positions
from pushcast.stream.batch import Batch, Bounds
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, make_app


class Copy(Stage):
    def __init__(self, outbox: KafkaOutbox, target: str) -> None:
        self.outbox = outbox
        self.target = target
        self.handled = 0

    async def handle(self, batch: Batch) -> None:
        await self.outbox.room()
        barrier = self.outbox.barrier()
        for record in batch.records:
            self.outbox.put(barrier, self.target, batch.partition, record.value)
        await barrier.wait()
        batch.done_all()
        self.handled += len(batch)


@pytest.mark.slow
async def test_a_stage_goes_on_after_the_broker_was_killed_and_came_back(
    unique: Callable[[str], str], tmp_path: Path
) -> None:
    with temporary_cluster() as cluster:
        kafka = cluster.bootstrap_servers
        source, target, group = create_topic(kafka, "in"), create_topic(kafka, "out"), unique("copy")
        failures: list[BaseException] = []
        outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
        stage = Copy(outbox, target)
        app = make_app(
            group,
            bootstrap_servers=kafka,
            partitions=4,
            data_dir=tmp_path,
            session_timeout_seconds=6,
            max_poll_records=50,
        )
        add_batch_stage(app, [source], stage, bounds=Bounds(records=200))
        sent = [b"%d" % number for number in range(20_000)]
        produce(kafka, source, [(number % 4, None, value) for number, value in enumerate(sent)])
        async with running(app):
            await until(lambda: stage.handled >= 1000, "it works before")
            cluster.kill_broker(0)
            assert lag(app)
            await asyncio.to_thread(cluster.start_broker, 0)
            produce(kafka, source, [(0, None, b"late")])
            await until(lambda: stage.handled >= 20_001 and lag(app) == 0, "it works after", 60)
        assert await outbox.close() == 0
        found = Counter(message.value() for message in read_all(kafka, target))
        assert set(found) == {*sent, b"late"}
        assert failures == []
        assert {offset for offset, _ in (await committed(kafka, group, source)).values()} == {5000, 5001}


@pytest.mark.slow
def test_who_asked_for_a_group_before_the_broker_was_killed_is_told_afterwards(
    unique: Callable[[str], str],
) -> None:
    with temporary_cluster() as cluster:
        client = client_config(cluster.bootstrap_servers, None, tool=True)
        topic, group = create_topic(cluster.bootstrap_servers, "in"), unique("asked")
        consumer = open_consumer(client, group)
        consumer.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
        consumer.close()
        positions = open_positions(client, lasting=True)
        assert positions.committed(group, [(topic, 0)]) == {(topic, 0): 5}
        cluster.kill_broker(0)
        cluster.start_broker(0)
        assert positions.committed(group, [(topic, 0)]) == {(topic, 0): 5}
        assert positions.members([group])[group].state == "empty"
