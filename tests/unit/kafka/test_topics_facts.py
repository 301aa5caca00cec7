from __future__ import annotations

from pushcast.kafka.topics import load_topology
from pushcast.kafka.topics.facts import ClusterFacts, TopicFacts, different

TOPOLOGY = load_topology()


def cluster(partitions: int, **others: int) -> ClusterFacts:
    topics = {topic.name: TopicFacts("id", topic.partitions(partitions)) for topic in TOPOLOGY.topics}
    return ClusterFacts("c", topics | {name: TopicFacts("id", count) for name, count in others.items()})


def test_a_cluster_with_as_many_partitions_as_configured_is_accepted() -> None:
    assert different(cluster(8), TOPOLOGY, 8) == []


def test_another_number_is_refused_in_one_sentence_that_says_what_to_set() -> None:
    [sentence] = different(cluster(8), TOPOLOGY, 4)
    assert "more topics: it has 8 partitions and kafka.partitions is 4" in sentence
    assert "Set kafka.partitions to 8" in sentence


def test_one_topic_that_grew_is_named() -> None:
    [sentence] = different(cluster(8, **{"push.notification.bulk.v1": 12}), TOPOLOGY, 8)
    assert sentence.startswith("push.notification.bulk.v1: it has 12 partitions")


def test_a_topic_that_is_not_there_is_no_difference() -> None:
    assert different(ClusterFacts("c", {}), TOPOLOGY, 8) == []


def test_a_log_is_told_by_its_cluster_and_its_topic_id() -> None:
    facts = ClusterFacts("c1", {"t": TopicFacts("a", 1)})
    assert facts.log_id("t") == "c1/a"
    assert facts.log_id("u") is None
