"""The topology on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from confluent_kafka.admin import AdminClient, NewTopic

from flow.topology_tools import alter, settings_of
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.topics import (
    ClusterUnavailable,
    TopicAction,
    Topology,
    TopologyConflict,
    apply,
    load_topology,
    plan,
    read_topology,
)


def _family(name: str, **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "purpose": "Made for one test on the shared broker.",
        "key": "user id",
        "partitioning": "key",
        "schema": "any",
        "producers": ["applications"],
        "consumers": ["planner"],
        "partitions": "kafka.partitions",
        "cleanup": "delete",
        "retention_seconds": 86400,
        "max_message_bytes": 4096,
        "personal_data": [],
        "dead_letter_twin": True,
    } | changes


def _topology(folder: Path, *families: dict[str, object]) -> Topology:
    folder.mkdir(exist_ok=True)
    for family in families:
        (folder / f"{family['name']}.yaml").write_text(yaml.safe_dump(family))
    return read_topology(folder)


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Of this file alone: it applies the whole topology, whose topics others make with fewer partitions."""
    with temporary_cluster() as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture
def admin(kafka: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka})


@pytest.fixture
def client(kafka: str) -> dict[str, str]:
    return {"bootstrap.servers": kafka}


@pytest.fixture
def name(unique: object, admin: AdminClient) -> Iterator[str]:
    assert callable(unique)
    name: str = unique("topology")
    yield name
    leftover = [topic for topic in admin.list_topics(timeout=10).topics if topic.startswith(name)]
    if leftover:
        for future in admin.delete_topics(leftover).values():
            future.result()


def test_the_whole_topology_applies_and_a_second_apply_changes_nothing(
    client: dict[str, str], admin: AdminClient
) -> None:
    topology = load_topology()
    apply(client, topology, 8, 1)

    topics = admin.list_topics(timeout=10).topics
    assert {topic.name: topic.partitions(8) for topic in topology.topics} == {
        topic.name: len(topics[topic.name].partitions) for topic in topology.topics
    }
    assert plan(admin, topology, 8, 1) == []
    assert apply(client, topology, 8, 1) == []


def test_a_topic_and_its_twin_are_created_with_their_settings(
    client: dict[str, str], admin: AdminClient, tmp_path: Path, name: str
) -> None:
    changes = apply(client, _topology(tmp_path, _family(name)), 3, 1)

    assert [(change.action, change.topic) for change in changes] == [
        (TopicAction.CREATE, name),
        (TopicAction.CREATE, f"{name}.dlq"),
    ]
    settings = settings_of(admin, f"{name}.dlq")
    assert settings["max.message.bytes"] == str(4096 + 65536)
    assert settings["retention.ms"] == str(14 * 86_400_000)


def test_another_value_on_the_cluster_is_planned_and_put_right(
    client: dict[str, str], admin: AdminClient, tmp_path: Path, name: str
) -> None:
    topology = _topology(tmp_path, _family(name, dead_letter_twin=False))
    apply(client, topology, 2, 1)
    alter(admin, name, {"retention.ms": "1000", "delete.retention.ms": "1000", "compression.type": "lz4"})

    (change,) = apply(client, topology, 2, 1)

    assert change.action is TopicAction.ALTER
    assert change.settings == {"retention.ms": ("1000", "86400000"), "delete.retention.ms": ("1000", None)}
    assert plan(admin, topology, 2, 1) == []
    assert settings_of(admin, name)["compression.type"] == "lz4", "a setting that Pushcast does not manage stays"


def test_another_partition_count_is_refused_and_nothing_is_changed(
    client: dict[str, str], admin: AdminClient, tmp_path: Path, name: str
) -> None:
    apply(client, _topology(tmp_path / "one", _family(name)), 2, 1)
    wider = _topology(tmp_path / "one", _family(f"{name}.more"))

    with pytest.raises(TopologyConflict, match=r"it has 2 partitions and kafka\.partitions is 4"):
        apply(client, wider, 4, 1)

    topics = admin.list_topics(timeout=10).topics
    assert len(topics[name].partitions) == 2
    assert f"{name}.more" not in topics


def test_only_a_retired_topic_is_deleted_and_only_when_asked(
    client: dict[str, str], admin: AdminClient, tmp_path: Path, name: str
) -> None:
    foreign = f"{name}.foreign"
    for future in admin.create_topics([NewTopic(foreign, num_partitions=1, replication_factor=1)]).values():
        future.result()
    apply(client, _topology(tmp_path, _family(name)), 1, 1)
    retired = _topology(tmp_path, _family(name, retired=True))

    assert apply(client, retired, 1, 1) == []
    assert name in admin.list_topics(timeout=10).topics

    changes = apply(client, retired, 1, 1, delete=True)
    assert [change.topic for change in changes] == [name, f"{name}.dlq"]
    topics = admin.list_topics(timeout=10).topics
    assert name not in topics
    assert foreign in topics


def test_a_cluster_that_does_not_answer_is_named_as_such(tmp_path: Path) -> None:
    client = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    with pytest.raises(ClusterUnavailable):
        apply(client, _topology(tmp_path, _family("nobody.home")), 1, 1, request_timeout_seconds=0.5)
