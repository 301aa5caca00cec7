"""The embedded Kafka as a daemon: its whole life, and what it does with directories and ports in a bad state."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from pushcast.kafka import embedded
from pushcast.kafka.embedded import archive_load, members, ports, process, readiness
from pushcast.kafka.embedded.errors import BrokerFailedError, PortTakenError, SettingError, StorageError
from pushcast.kafka.embedded.runtime import Runtime

Name = Callable[[str], str]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory whose cluster does not outlive the test."""
    yield tmp_path / "kafka"
    embedded.stop(tmp_path / "kafka")


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose cluster ran, holds the topic `kept` with one acknowledged record, and was stopped."""
    directory = tmp_path_factory.mktemp("stopped") / "kafka"
    info = embedded.start(data_dir=directory)
    try:
        create_topic(info.bootstrap_servers, "kept")
        produce(info.bootstrap_servers, "kept", b"acknowledged")
    finally:
        assert embedded.stop(directory)
    return directory


@pytest.fixture
def stopped(stopped_once: Path, data_dir: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(stopped_once, data_dir)
    return data_dir


def create_topic(bootstrap_servers: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(timeout=30)


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


def test_a_stopped_cluster_starts_again_with_all_that_was_acknowledged(stopped: Path) -> None:
    assert (stopped / "broker-1" / "data" / ".kafka_cleanshutdown").is_file()
    said: list[str] = []
    info = embedded.start(data_dir=stopped, progress=said.append)
    assert not any("stale" in line or "formatted" in line for line in said)
    assert_coordinators_are_loaded(info.bootstrap_servers)
    assert read_first(info.bootstrap_servers, "kept") == b"acknowledged"
    assert embedded.start(data_dir=stopped) == info
    assert embedded.status(stopped) == info
    assert all(path.is_file() for path in info.log_files)


def assert_coordinators_are_loaded(bootstrap_servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    topics = admin.list_topics(timeout=10).topics
    assert {"__consumer_offsets", "__transaction_state"} <= topics.keys()
    groups = readiness.groups_of_all_partitions(len(topics["__consumer_offsets"].partitions))
    # One try each: a coordinator that is still loading answers with an error.
    answers = admin.describe_consumer_groups(groups, request_timeout=10)
    assert {answer.result(timeout=30).group_id for answer in answers.values()} == set(groups)


def test_a_broker_killed_by_somebody_else_is_found_and_started_again(stopped: Path) -> None:
    first = embedded.start(data_dir=stopped)
    produce(first.bootstrap_servers, "kept", b"acknowledged too")
    os.kill(first.pids[0], signal.SIGKILL)
    wait_until(lambda: embedded.status(stopped) is None, "the status says down")
    said: list[str] = []
    second = embedded.start(data_dir=stopped, progress=said.append)
    assert any("pid is stale" in line for line in said)
    assert second.bootstrap_servers == first.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": second.bootstrap_servers})
    ends = admin.list_offsets({TopicPartition("kept", 0): OffsetSpec.latest()}, request_timeout=10)
    assert [end.result(timeout=30).offset for end in ends.values()] == [2]


def test_a_broker_that_dies_while_it_is_waited_for_is_started_again(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = embedded.start(data_dir=stopped).pids[0]
    os.kill(pid, signal.SIGKILL)
    assert process.wait_gone(pid, stopped / "broker-1", 30)
    monkeypatch.setattr(members, "settled", lambda *_: {0: pid})  # as if it had lived a moment longer
    said: list[str] = []
    info = embedded.start(data_dir=stopped, progress=said.append)
    assert any("ended with signal 9" in line and "started once more" in line for line in said)
    assert_coordinators_are_loaded(info.bootstrap_servers)


def test_a_half_formatted_directory_is_explained_and_formatted_again(stopped: Path) -> None:
    data = stopped / "broker-1" / "data"
    for each in data.iterdir():  # what an interrupted StorageTool leaves: everything but meta.properties
        if each.name not in {"bootstrap.checkpoint", "__cluster_metadata-0"}:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    said: list[str] = []
    info = embedded.start(data_dir=stopped, progress=said.append)
    assert any(f"{data} is half formatted" in line for line in said)
    assert_coordinators_are_loaded(info.bootstrap_servers)
    assert "kept" not in AdminClient({"bootstrap.servers": info.bootstrap_servers}).list_topics(timeout=10).topics


def test_topics_without_their_metadata_are_left_alone_and_explained(stopped: Path) -> None:
    (stopped / "broker-1" / "data" / "meta.properties").unlink()
    with pytest.raises(StorageError, match=r"no meta\.properties"):
        embedded.start(data_dir=stopped)
    assert (stopped / "broker-1" / "data" / "kept-0").is_dir()


def test_another_cluster_that_binds_the_port_first_is_not_taken_for_ours(
    kafka: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two starts at once both find the port free; the other one wins.
    monkeypatch.setattr(ports, "for_brokers", lambda *_: [int(kafka.rpartition(":")[2])])
    said: list[str] = []
    info = embedded.start(data_dir=data_dir, progress=said.append)
    assert "another process took the chosen port; trying others" in said
    assert info.bootstrap_servers != kafka
    ids = {cluster_id(kafka), cluster_id(info.bootstrap_servers)}
    assert len(ids) == 2


def cluster_id(bootstrap_servers: str) -> str | None:
    return AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=10).cluster_id


def test_a_broker_that_cannot_start_is_reported_with_its_own_words(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "java"
    broken.write_text(
        "#!/bin/sh\n"
        """case "$*" in -version) echo 'version "17.0.1"';; *) echo 'Exception: no such luck'; exit 3;; esac\n"""
    )
    broken.chmod(0o755)
    monkeypatch.setenv("PUSHCAST_JAVA", str(broken))
    with pytest.raises(BrokerFailedError, match=r"broker 1 .* ended with exit code 3: .*no such luck.*kafka\.log"):
        embedded.start(data_dir=stopped)
    assert embedded.status(stopped) is None


def test_the_broker_starts_from_the_archive_of_its_classes(kafka_cluster: embedded.Cluster) -> None:
    pid = kafka_cluster.pid(0)
    assert pid is not None
    line = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True
    ).stdout
    option = next(word for word in line.split() if word.startswith("-XX:AOTCache="))
    assert Path(option.partition("=")[2]).stat().st_size > 1_000_000


def test_what_java_learns_from_goes_through_a_broker(kafka: str) -> None:
    rounds = archive_load.ROUNDS_BETWEEN_QUESTIONS
    asyncio.run(archive_load.load(kafka, rounds))
    admin = AdminClient({"bootstrap.servers": kafka})
    places = [TopicPartition(topic, each) for topic in archive_load.TOPICS for each in range(archive_load.PARTITIONS)]
    ends = admin.list_offsets({place: OffsetSpec.latest() for place in places})
    assert sum(end.result(10).offset for end in ends.values()) == rounds * sum(puts for _, puts in archive_load.WRITERS)
    stages = [f"pushcast-load-stage-{number}" for number in range(archive_load.STAGES)]
    for stage in stages:
        committed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(stage)])[stage].result(10)
        assert sum(place.offset for place in committed.topic_partitions) > 0


def test_a_topic_is_never_made_by_producing_to_it(kafka: str, unique: Name) -> None:
    failures: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": kafka, "message.timeout.ms": 3000})
    producer.produce(unique("typo"), b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(30)
    assert len(failures) == 1
    assert failures[0] is not None
    assert unique("typo") not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics


def test_groups_live_where_we_compute_it(kafka: str, unique: Name) -> None:
    topic = unique("placed")
    create_topic(kafka, topic)
    admin = AdminClient({"bootstrap.servers": kafka})
    partitions = len(admin.list_topics(timeout=10).topics["__consumer_offsets"].partitions)
    for group in (unique("a"), unique("b"), unique("c"), unique("d")):
        before = ends_of_consumer_offsets(admin, partitions)
        consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
        consumer.close()
        after = ends_of_consumer_offsets(admin, partitions)
        expected = readiness.group_partition(group, partitions)
        assert after[expected] > before[expected], group


def ends_of_consumer_offsets(admin: AdminClient, partitions: int) -> list[int]:
    wanted = {TopicPartition("__consumer_offsets", each): OffsetSpec.latest() for each in range(partitions)}
    return [answer.result(timeout=30).offset for answer in admin.list_offsets(wanted, request_timeout=10).values()]


def test_topics_may_take_larger_messages_than_the_broker_s_mebibyte(kafka: str, unique: Name) -> None:
    names = {unique("small"): {}, unique("large"): {"max.message.bytes": "2097152"}}
    admin = AdminClient({"bootstrap.servers": kafka})
    for each in admin.create_topics([NewTopic(name, 1, config=config) for name, config in names.items()]).values():
        each.result(timeout=30)
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 4_000_000})
    outcome: dict[str | None, KafkaError | None] = {}
    for name in names:
        producer.produce(name, bytes(1_500_000), on_delivery=lambda error, m: outcome.update({m.topic(): error}))
    assert producer.flush(30) == 0
    small, large = names
    refused = outcome[small]
    assert refused is not None
    assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert outcome[large] is None


def test_a_port_in_use_is_an_error_when_asked_for_and_passed_by_when_not(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        taken = listening.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {taken} "):
            embedded.start(data_dir=data_dir, port=taken)
        monkeypatch.setattr(ports, "DEFAULT_PORT", taken)
        info = embedded.start(data_dir=data_dir)
        assert not info.bootstrap_servers.endswith(f":{taken}")
    with pytest.raises(SettingError, match="already running at"):
        embedded.start(data_dir=data_dir, port=taken)


def test_a_temporary_cluster_goes_when_its_owner_is_killed(tmp_path: Path) -> None:
    code = (
        "from pushcast.kafka.embedded import temporary_cluster\n"
        "with temporary_cluster() as cluster:\n"
        "    print(cluster.pid(0), cluster.data_dir, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, _, directory = owner.stdout.readline().strip().partition(" ")
        folder = Path(directory) / "broker-1"
        assert process.alive(int(pid), folder)
        owner.kill()
    wait_until(lambda: not process.alive(int(pid), folder), "the broker is gone")
    wait_until(lambda: not Path(directory).exists(), "the directory is gone")


def test_a_paused_broker_answers_nothing_until_it_is_resumed() -> None:
    with embedded.temporary_cluster() as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
        assert answers(admin)
        cluster.pause_broker(0)
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=1)
        cluster.resume_broker(0)
        wait_until(lambda: answers(admin), "the broker answers again")  # it may have to register anew first
    assert not cluster.data_dir.exists()


def answers(admin: AdminClient) -> bool:
    try:
        return len(admin.list_topics(timeout=1).brokers) == 1
    except KafkaException:
        return False


@pytest.mark.slow
def test_three_brokers_go_on_when_one_is_killed_and_stop_when_two_are() -> None:
    with embedded.temporary_cluster(3) as cluster:
        servers = cluster.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        admin.create_topics([NewTopic("replicated", 3)])["replicated"].result(timeout=30)
        topic = admin.list_topics(timeout=10).topics["replicated"]
        assert {len(partition.replicas) for partition in topic.partitions.values()} == {3}
        resource = ConfigResource(ResourceType.TOPIC, "replicated")
        assert admin.describe_configs([resource])[resource].result(timeout=30)["min.insync.replicas"].value == "2"
        cluster.kill_broker(2)
        assert len(cluster.info.pids) == 2
        produce(servers, "replicated", b"with two of three")
        cluster.start_broker(2)
        assert len(cluster.info.pids) == 3
        wait_until(lambda: in_sync(admin, "replicated") == 3, "the killed broker has caught up")
        assert read_first(servers, "replicated") == b"with two of three"


def in_sync(admin: AdminClient, name: str) -> int:
    return min(len(each.isrs) for each in admin.list_topics(name, timeout=10).topics[name].partitions.values())


def test_a_broker_that_dies_while_it_starts_is_started_once_more(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = Runtime.spawn
    spawned: list[int] = []

    def spawn_and_kill_the_first(self: Runtime, *arguments: Any) -> int:
        spawned.append(spawn(self, *arguments))
        if len(spawned) == 1:
            os.kill(spawned[0], signal.SIGKILL)
        return spawned[-1]

    monkeypatch.setattr(Runtime, "spawn", spawn_and_kill_the_first)
    said: list[str] = []
    info = embedded.start(data_dir=stopped, progress=said.append)
    assert info.pids == (spawned[1],)
    assert any("signal 9" in line and "started once more" in line for line in said)
