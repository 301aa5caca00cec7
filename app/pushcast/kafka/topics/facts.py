"""What a cluster is called and what its topics are, held against the configuration before anything is read or written.

A topic's name does not tell its log: one that was deleted and made again has another id, and so has that of another
cluster. Offsets belong to a log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config, cluster_metadata, open_admin
from pushcast.kafka.topics.diff import count_refusal, some_of
from pushcast.kafka.topics.errors import ClusterUnavailable, PartitionsDiffer
from pushcast.kafka.topics.load import load_topology
from pushcast.kafka.topics.model import Topology

TIMEOUT_SECONDS: Final = 15.0


class TopicFacts(NamedTuple):
    """`topic_id`: of the log, in Kafka's own writing (base64)."""

    topic_id: str
    partitions: int


class ClusterFacts(NamedTuple):
    """Topics that are not there are left out."""

    cluster_id: str
    topics: Mapping[str, TopicFacts]

    def log_id(self, topic: str) -> str | None:
        """Tells this log from every other one; None when the topic is not there."""
        found = self.topics.get(topic)
        return None if found is None else f"{self.cluster_id}/{found.topic_id}"


def cluster_facts(client: Mapping[str, Any], names: Sequence[str], timeout: float = TIMEOUT_SECONDS) -> ClusterFacts:
    """Asks the cluster about one topic or more. Blocks. Raises ClusterUnavailable."""
    admin = open_admin(client)
    found: dict[str, TopicFacts] = {}
    try:
        # All topics: asking for one would make it anew where brokers create topics by themselves.
        cluster_id = str(cluster_metadata(admin, timeout).cluster_id)
        answers = admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout)
        for name, answer in answers.items():
            try:
                described = answer.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                continue
            found[name] = TopicFacts(str(described.topic_id), len(described.partitions))
    except KafkaException as error:
        raise ClusterUnavailable(f"Kafka did not answer or refused: {error.args[0].str()}") from error
    return ClusterFacts(cluster_id, found)


def check_cluster(settings: Settings) -> ClusterFacts:
    """Refuses a `kafka.partitions` that is not the cluster's: users would be looked for in other partitions than their
    devices are in. For roles and for every command that reads or writes by user. Blocks.

    Raises PartitionsDiffer (exit 2) and ClusterUnavailable. Topics that are not there are no fault here.
    """
    topology = load_topology()
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
    facts = cluster_facts(client, [topic.name for topic in topology.topics])
    refused = different(facts, topology, settings.kafka.partitions)
    if refused:
        raise PartitionsDiffer("\n  ".join(["the cluster is not what the configuration says:", *refused]))
    return facts


def different(facts: ClusterFacts, topology: Topology, partitions: int) -> list[str]:
    """A sentence for each topic with another number of partitions, those with the same sentence together. Pure."""
    sentences: dict[str, list[str]] = {}
    for topic in topology.topics:
        actual, wanted = facts.topics.get(topic.name), topic.partitions(partitions)
        if actual is not None and actual.partitions != wanted:
            sentences.setdefault(count_refusal(topic, actual.partitions, wanted), []).append(topic.name)
    return [f"{some_of(names)}: {sentence}" for sentence, names in sentences.items()]
