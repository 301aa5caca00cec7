"""The embedded Kafka as a daemon: its whole life, and what it does with directories and ports in a bad state."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pushcast.kafka import embedded

Name = Callable[[str], str]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory whose cluster does not outlive the test."""
    yield tmp_path / "kafka"
    embedded.stop(tmp_path / "kafka")


def create_topic(bootstrap_servers: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result()


def produce(bootstrap_servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    failures: list[object] = []
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(30) == 0
    assert failures == []


def read_first(bootstrap_servers: str, topic: str) -> bytes | None:
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": f"{topic}-reader", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    try:
        message = consumer.poll(30)
        assert message is not None, "nothing came within 30 s"
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: float = 30) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}"
        os.sched_yield()


def test_what_was_acknowledged_is_there_after_a_stop_and_a_start(data_dir: Path) -> None:
    first = embedded.start(data_dir=data_dir)
    create_topic(first.bootstrap_servers, "kept")
    produce(first.bootstrap_servers, "kept", b"before the stop")
    assert embedded.stop(data_dir)
    assert embedded.status(data_dir) is None
    second = embedded.start(data_dir=data_dir)
    assert second.bootstrap_servers == first.bootstrap_servers
    assert second.pids != first.pids
    assert read_first(second.bootstrap_servers, "kept") == b"before the stop"


def test_starting_a_running_cluster_changes_nothing(data_dir: Path) -> None:
    first = embedded.start(data_dir=data_dir)
    assert embedded.start(data_dir=data_dir) == first
    assert embedded.status(data_dir) == first
    assert all(path.is_file() for path in first.log_files)


def test_a_topic_is_never_made_by_producing_to_it(kafka: str, unique: Name) -> None:
    failures: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": kafka, "message.timeout.ms": 3000})
    producer.produce(unique("typo"), b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(30)
    assert len(failures) == 1
    assert failures[0] is not None
    assert unique("typo") not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
