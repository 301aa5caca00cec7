"""Compares a cluster with the topology and brings it there. Blocking: keep it off an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

# The package re-exports these without saying so in the way that mypy --strict asks for.
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

from pushcast.kafka.clients import cluster_metadata, open_admin
from pushcast.kafka.topics.diff import ClusterTopic, TopicAction, TopicChange, diff, some_of, still_to_do
from pushcast.kafka.topics.errors import ClusterUnavailable, TopologyConflict
from pushcast.kafka.topics.model import Topology

T = TypeVar("T")

POLL_SECONDS: Final = 0.05
#: Few requests are fast, but a KRaft controller refuses one that makes more than 10,000 metadata records:
#: MAX_RECORDS_PER_USER_OP in org.apache.kafka.controller.QuorumController 4.3; a partition is one, so are settings.
MAX_PARTITIONS_PER_REQUEST: Final = 5000

#: A race with another apply: whoever came first did it, the comparison afterwards tells whether it is right.
_HARMLESS = frozenset({KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.UNKNOWN_TOPIC_OR_PART})


class ProgressWatch:
    """How long something may be missing: for `timeout_seconds` after it last became less. Times are monotonic."""

    def __init__(self, timeout_seconds: float, now_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._fewest: int | None = None
        self._since_seconds = now_seconds

    def is_over(self, missing: int, now_seconds: float) -> bool:
        """Whether as much as ever has been missing for too long. `missing`: how many are, now."""
        if self._fewest is None or missing < self._fewest:
            self._fewest, self._since_seconds = missing, now_seconds
        return now_seconds - self._since_seconds >= self._timeout_seconds


def plan(
    admin: AdminClient,
    topology: Topology,
    partitions: int,
    replication_factor: int,
    *,
    delete: bool = False,
    request_timeout_seconds: float = 15.0,
) -> list[TopicChange]:
    """What `apply` would do; changes nothing. Foreign topics are ignored. Raises ClusterUnavailable."""
    cluster = _describe(admin, {topic.name for topic in topology.all_topics}, request_timeout_seconds)
    return diff(topology, cluster, partitions=partitions, replication_factor=replication_factor, delete=delete)


def apply(
    client: Mapping[str, Any],
    topology: Topology,
    partitions: int,
    replication_factor: int,
    *,
    delete: bool = False,
    request_timeout_seconds: float = 15.0,
    timeout_seconds: float = 60.0,
) -> list[TopicChange]:
    """Creates and alters topics until the cluster is as the topology says; returns what was done. Idempotent.

    `client` are librdkafka settings, `bootstrap.servers` at least. Returns when every live broker knows every topic and
    a leader of every partition. Several may apply at once. Nothing is deleted without `delete`, and then only topics
    whose file says `retired`. `timeout_seconds` is how long brokers may take without getting any further: with 256
    partitions a topic they make some 24,000 logs, one after the other.

    Raises TopologyConflict before anything is changed, ClusterUnavailable when it could not be done in time.
    """
    admin = open_admin(client)

    def differences() -> list[TopicChange]:
        return plan(
            admin,
            topology,
            partitions,
            replication_factor,
            delete=delete,
            request_timeout_seconds=request_timeout_seconds,
        )

    changes = differences()
    refused = [f"{change.topic}: {change.reason}" for change in changes if change.action is TopicAction.REFUSE]
    if refused:
        raise TopologyConflict("nothing was changed, because\n  " + "\n  ".join(refused))
    _create(admin, [change for change in changes if change.action is TopicAction.CREATE], request_timeout_seconds)
    _alter(admin, [change for change in changes if change.action is TopicAction.ALTER], request_timeout_seconds)
    _delete(admin, [change.topic for change in changes if change.action is TopicAction.DELETE], request_timeout_seconds)
    if changes:
        _poll(
            lambda: [still_to_do(change) for change in differences()],
            timeout_seconds,
            "the cluster does not show the changes",
        )
        _poll(
            lambda: _unseen(client, admin, topology, partitions, request_timeout_seconds),
            timeout_seconds,
            "not every broker knows every topic",
        )
    return changes


def _describe(admin: AdminClient, names: set[str], timeout_seconds: float) -> dict[str, ClusterTopic]:
    metadata = _ask(lambda: cluster_metadata(admin, timeout_seconds))
    found = {name: topic for name, topic in metadata.topics.items() if name in names and topic.partitions}
    if not found:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in found]
    answers = _ask(lambda: admin.describe_configs(resources, request_timeout=timeout_seconds))
    described = {}
    for resource, future in answers.items():
        try:
            described[resource.name] = future.result()
        except KafkaException as error:
            if error.args[0].code() not in _HARMLESS:  # deleted, or not known to this broker yet
                raise _unavailable(error, resource.name) from error
    return {
        name: ClusterTopic(
            partitions=len(topic.partitions),
            replication_factor=min(len(partition.replicas) for partition in topic.partitions.values()),
            settings={entry.name: entry.value for entry in described[name].values()},
            overrides=frozenset(
                entry.name
                for entry in described[name].values()
                if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
            ),
        )
        for name, topic in found.items()
        if name in described
    }


def _create(admin: AdminClient, changes: Sequence[TopicChange], timeout_seconds: float) -> None:
    request: list[NewTopic] = []
    size = 0
    for change in changes:
        count = change.partitions or 1
        if size + count > MAX_PARTITIONS_PER_REQUEST and request:
            _wait(_ask(partial(admin.create_topics, request, request_timeout=timeout_seconds)))
            request, size = [], 0
        settings = {name: setting.after for name, setting in change.settings.items() if setting.after is not None}
        request.append(
            NewTopic(
                change.topic,
                num_partitions=count,
                replication_factor=change.replication_factor or 1,
                config=settings,
            )
        )
        size += count
    if request:
        _wait(_ask(partial(admin.create_topics, request, request_timeout=timeout_seconds)))


def _alter(admin: AdminClient, changes: Sequence[TopicChange], timeout_seconds: float) -> None:
    if not changes:
        return
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            change.topic,
            incremental_configs=[
                ConfigEntry(
                    name,
                    setting.after,
                    incremental_operation=AlterConfigOpType.DELETE if setting.after is None else AlterConfigOpType.SET,
                )
                for name, setting in change.settings.items()
            ],
        )
        for change in changes
    ]
    _wait(_ask(lambda: admin.incremental_alter_configs(resources, request_timeout=timeout_seconds)))


def _delete(admin: AdminClient, names: Sequence[str], timeout_seconds: float) -> None:
    if names:
        _wait(_ask(lambda: admin.delete_topics(list(names), request_timeout=timeout_seconds)))


def _wait(futures: Mapping[Any, Future[Any]]) -> None:
    """By topic, or by its resource. Raises ClusterUnavailable, which names the topics and what the brokers say of them:
    with some hundred topics in one request the reason alone says little."""
    refused: dict[str, list[str]] = {}
    for topic, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() not in _HARMLESS:
                refused.setdefault(error.args[0].str(), []).append(getattr(topic, "name", topic))
    if refused:
        told = [f"{some_of(topics)}: {reason}" for reason, topics in refused.items()]
        raise ClusterUnavailable("\n  ".join(["Kafka did not answer or refused:", *told]))


def _unseen(
    client: Mapping[str, Any], admin: AdminClient, topology: Topology, partitions: int, timeout_seconds: float
) -> list[str]:
    """Per live broker, the topics that it does not know wholly, asked at that broker alone."""
    brokers = _ask(lambda: cluster_metadata(admin, timeout_seconds)).brokers
    unseen = []
    for number, broker in sorted(brokers.items()):
        host = f"[{broker.host}]" if ":" in broker.host else broker.host
        # A fresh client knows no broker but this one, so its first metadata request goes there.
        alone = open_admin({**client, "bootstrap.servers": f"{host}:{broker.port}"})
        try:
            known = alone.list_topics(timeout=timeout_seconds).topics
        except KafkaException as error:  # it may be starting again
            silent = f"broker {number} at {host}:{broker.port}: {error.args[0].str()}"
            unseen += [silent] * len(topology.topics)
            continue
        for topic in topology.topics:
            seen = known.get(topic.name)
            ready = seen is not None and [partition for partition in seen.partitions.values() if partition.leader >= 0]
            if not ready or len(ready) != topic.partitions(partitions):
                unseen.append(f"broker {number}: {topic.name}")
    return unseen


def _poll(missing: Callable[[], list[str]], timeout_seconds: float, what: str) -> None:
    asked_at = time.monotonic()
    watch = ProgressWatch(timeout_seconds, asked_at)
    while left := missing():
        answered_at = time.monotonic()
        if watch.is_over(len(left), answered_at):
            told = list(dict.fromkeys(left))
            raise ClusterUnavailable(f"{what}: {', '.join(told[:5])}{' …' if len(told) > 5 else ''}")
        # The same brokers make what is missing: they are asked for half of the time at most.
        time.sleep(max(POLL_SECONDS, answered_at - asked_at))
        asked_at = time.monotonic()


def _ask(request: Callable[[], T]) -> T:
    try:
        return request()
    except KafkaException as error:
        raise _unavailable(error) from error


def _unavailable(error: KafkaException, topic: str = "") -> ClusterUnavailable:
    of_topic = f"{topic}: " if topic else ""
    return ClusterUnavailable(f"Kafka did not answer or refused: {of_topic}{error.args[0].str()}")
