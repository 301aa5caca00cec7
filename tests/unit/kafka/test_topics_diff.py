from __future__ import annotations

from pushcast.kafka.topics.diff import ClusterTopic, TopicAction, diff
from pushcast.kafka.topics.model import Topic, TopicFamily, Topology


def _family(**changes: object) -> TopicFamily:
    return TopicFamily.model_validate(
        {
            "name": "push.thing.v1",
            "purpose": "A topic for the tests of the difference.",
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
            "dead_letter_twin": False,
        }
        | changes
    )


TOPOLOGY = Topology((_family(),))


def _as_wanted(
    topic: Topic, partitions: int = 8, replication_factor: int = 1, changes: dict[str, str] | None = None
) -> ClusterTopic:
    own = topic.settings_at(replication_factor) | (changes or {})
    defaults = {"compression.type": "producer", "min.insync.replicas": "1", "delete.retention.ms": "86400000"}
    return ClusterTopic(partitions, replication_factor, defaults | own, frozenset(own))


def _cluster(
    partitions: int = 8, replication_factor: int = 1, changes: dict[str, str] | None = None
) -> dict[str, ClusterTopic]:
    return {topic.name: _as_wanted(topic, partitions, replication_factor, changes) for topic in TOPOLOGY.topics}


def test_a_cluster_as_wanted_needs_no_change() -> None:
    assert diff(TOPOLOGY, _cluster(), partitions=8, replication_factor=1) == []


def test_an_absent_topic_is_created_with_count_copies_and_settings() -> None:
    (change,) = diff(TOPOLOGY, {}, partitions=8, replication_factor=3)
    assert (change.action, change.partitions, change.replication_factor) == (TopicAction.CREATE, 8, 3)
    assert {name: setting.after for name, setting in change.settings.items()} == {
        "cleanup.policy": "delete",
        "max.message.bytes": "4096",
        "retention.ms": "86400000",
        "segment.ms": "21600000",
        "min.insync.replicas": "2",
    }


def test_two_in_sync_copies_are_demanded_from_three_copies_up_only() -> None:
    (topic,) = TOPOLOGY.topics
    assert "min.insync.replicas" not in topic.settings_at(2)
    assert topic.settings_at(3)["min.insync.replicas"] == "2"


def test_a_foreign_topic_is_ignored() -> None:
    cluster = _cluster() | {"push.other.v1": ClusterTopic(1, 1, {}, frozenset())}
    assert diff(TOPOLOGY, cluster, partitions=8, replication_factor=1, delete=True) == []


def test_a_managed_setting_that_is_not_wanted_goes_back_to_the_default() -> None:
    cluster = _cluster(changes={"min.insync.replicas": "2", "compression.type": "lz4"})
    (change,) = diff(TOPOLOGY, cluster, partitions=8, replication_factor=1)
    assert change.action is TopicAction.ALTER
    assert change.settings == {"min.insync.replicas": ("2", None)}


def test_a_number_written_in_another_way_is_the_same() -> None:
    compact = _family(
        cleanup="compact",
        retention_seconds=None,
        delete_retention_seconds=604_800,
        min_cleanable_dirty_ratio=0.2,
        max_compaction_lag_seconds=86_400,
    )
    topology = Topology((compact,))
    (topic,) = topology.topics
    cluster = {topic.name: _as_wanted(topic, changes={"min.cleanable.dirty.ratio": "0.20"})}
    assert diff(topology, cluster, partitions=8, replication_factor=1) == []


def test_another_partition_count_is_refused_with_both_counts() -> None:
    (change,) = diff(TOPOLOGY, _cluster(partitions=4), partitions=8, replication_factor=1)
    assert change.action is TopicAction.REFUSE
    assert "it has 4 partitions and kafka.partitions is 8" in change.reason


def test_more_partitions_on_a_topic_of_one_are_refused() -> None:
    topology = Topology((_family(partitions=1, partitioning="single"),))
    (topic,) = topology.topics
    (change,) = diff(topology, {topic.name: _as_wanted(topic, partitions=8)}, partitions=8, replication_factor=1)
    assert change.action is TopicAction.REFUSE
    assert "it has 8 partitions and must have 1" in change.reason


def test_too_few_copies_are_refused_and_more_are_welcome() -> None:
    (change,) = diff(TOPOLOGY, _cluster(replication_factor=2), partitions=8, replication_factor=3)[:1]
    assert change.action is TopicAction.REFUSE
    assert "it has 2 copies and kafka.replication_factor is 3" in change.reason
    assert diff(TOPOLOGY, _cluster(replication_factor=2), partitions=8, replication_factor=1) == []


def test_a_retired_topic_is_deleted_only_when_asked_and_never_created() -> None:
    retired = Topology((_family(retired=True),))
    assert diff(retired, {}, partitions=8, replication_factor=1, delete=True) == []
    assert diff(retired, _cluster(), partitions=8, replication_factor=1) == []
    (change,) = diff(retired, _cluster(), partitions=8, replication_factor=1, delete=True)
    assert (change.action, change.topic) == (TopicAction.DELETE, "push.thing.v1")
