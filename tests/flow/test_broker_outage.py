"""The broker dies and comes back under a running stage."""

from __future__ import annotations

import asyncio
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

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
        positions = open_positions(client)
        assert positions.committed(group, [(topic, 0)]) == {(topic, 0): 5}
        cluster.kill_broker(0)
        cluster.start_broker(0)
        assert positions.committed(group, [(topic, 0)]) == {(topic, 0): 5}
        found = positions.members([group, unique("nobody"), unique("nothing")])
        assert found.pop(group).state == "empty"
        assert [each.state for each in found.values()] == ["dead", "dead"]


@pytest.mark.slow
def test_who_asks_for_groups_again_and_again_outlives_brokers_that_go_and_come_back(tmp_path: Path) -> None:
    """librdkafka 2.16 aborts the process of an admin client that asks so: in three of four such losses."""
    with temporary_cluster(brokers=3) as cluster:
        asker = subprocess.Popen([sys.executable, "-c", ASKS, cluster.bootstrap_servers], stdout=subprocess.PIPE)
        assert asker.stdout is not None
        try:
            for loss in range(4):
                assert said(asker.stdout) == b"answered\n"
                gone = [loss % 3, (loss + 1) % 3]
                for broker in gone:
                    cluster.kill_broker(broker)
                time.sleep(1)  # questions are on their way to those that are gone
                for broker in gone:
                    cluster.start_broker(broker, wait=False)
                asker.send_signal(signal.SIGUSR1)
            assert said(asker.stdout) == b"answered\n"
            assert asker.poll() is None
        finally:
            asker.kill()
            asker.wait()
            asker.stdout.close()


def said(asker: IO[bytes]) -> bytes:
    """Its next line; nothing when it has ended, or is silent for a minute."""
    heard, _, _ = select.select([asker], [], [], 60)
    return asker.readline() if heard else b""


#: Says when it is answered for the first time, and for the first time after each signal.
ASKS = """
import signal, sys, threading
from confluent_kafka import KafkaException
from pushcast.kafka.clients import client_config
from pushcast.kafka.positions import open_positions

told = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: told.clear())


def ask():
    positions = open_positions(client_config(sys.argv[1], None, tool=True))
    while True:
        try:
            positions.committed("asked", [("nowhere", 0)])
            positions.members(["asked", "another"])
        except KafkaException:
            continue
        with lock:
            if not told.is_set():
                told.set()
                print("answered", flush=True)


lock = threading.Lock()
for _ in range(4):
    threading.Thread(target=ask, daemon=True).start()
while True:
    signal.pause()
"""
