"""The difference between the topics that are wanted and those of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pushcast.kafka.topics.model import MANAGED_SETTINGS, Topic, Topology
from pushcast.model.plural import counted


class TopicAction(StrEnum):
    """What has to be done about a topic."""

    CREATE = "create"
    ALTER = "alter"
    DELETE = "delete"
    REFUSE = "refuse"  # differs in what must not be changed in place


class ClusterTopic(NamedTuple):
    """A topic as the cluster has it."""

    partitions: int
    replication_factor: int  # the least of its partitions'
    settings: Mapping[str, str]  # effective values
    overrides: frozenset[str]  # those set on the topic itself


class SettingChange(NamedTuple):
    """`after` is None where the topic's own value goes and the cluster's default holds again."""

    before: str | None
    after: str | None


@dataclass(frozen=True)
class TopicChange:
    """One step from the cluster to the topology."""

    action: TopicAction
    topic: str
    partitions: int | None = None
    replication_factor: int | None = None
    settings: Mapping[str, SettingChange] = field(default_factory=dict)
    reason: str = ""

    def to_dict(self) -> dict[str, object]:
        """For JSON output."""
        return {
            "action": str(self.action),
            "topic": self.topic,
            "partitions": self.partitions,
            "replication_factor": self.replication_factor,
            "settings": {name: change._asdict() for name, change in self.settings.items()},
            "reason": self.reason,
        }


def diff(
    topology: Topology,
    cluster: Mapping[str, ClusterTopic],
    *,
    partitions: int,
    replication_factor: int,
    delete: bool = False,
) -> list[TopicChange]:
    """Changes in the order of the topology; none when the cluster is as it should be.

    Topics that the topology does not name are none of its business. Retired ones are deleted only with `delete`.
    """
    changes = [
        change
        for topic in topology.topics
        for change in _topic(topic, cluster.get(topic.name), partitions, replication_factor)
    ]
    if delete:
        changes += [
            TopicChange(TopicAction.DELETE, topic.name, reason="its file says retired")
            for topic in topology.all_topics
            if topic.retired and topic.name in cluster
        ]
    return changes


def _topic(
    topic: Topic, actual: ClusterTopic | None, partitions: int, replication_factor: int
) -> Iterable[TopicChange]:
    wanted = topic.settings_at(replication_factor)
    count = topic.partitions(partitions)
    if actual is None:
        settings = {name: SettingChange(None, value) for name, value in wanted.items()}
        yield TopicChange(TopicAction.CREATE, topic.name, count, replication_factor, settings)
        return
    if actual.partitions != count:
        yield TopicChange(TopicAction.REFUSE, topic.name, count, reason=count_refusal(topic, actual.partitions, count))
    if actual.replication_factor < replication_factor:
        reason = (
            f"it has {actual.replication_factor} copies and kafka.replication_factor is {replication_factor}:"
            " reassign its partitions with kafka-reassign-partitions.sh, or lower the setting"
        )
        yield TopicChange(TopicAction.REFUSE, topic.name, replication_factor=replication_factor, reason=reason)
    settings = {
        name: SettingChange(actual.settings.get(name), value)
        for name, value in wanted.items()
        if not _same(actual.settings.get(name), value)
    }
    settings |= {
        name: SettingChange(actual.settings.get(name), None)
        for name in sorted((actual.overrides & MANAGED_SETTINGS) - wanted.keys())
    }
    if settings:
        yield TopicChange(TopicAction.ALTER, topic.name, settings=settings)


def count_refusal(topic: Topic, actual: int, wanted: int) -> str:
    """Why a topic cannot have another number of partitions, and what to do."""
    if topic.co_partitioned:
        return (
            f"it has {actual} partitions and kafka.partitions is {wanted}: users would move to other partitions than"
            f" their devices, order and accounts. Set kafka.partitions to {actual}, or move to a new cluster"
        )
    return f"it has {actual} partitions and must have {wanted}: delete it and apply again"


def some_of(names: Sequence[str]) -> str:
    """Topics of which the same is to be said."""
    return names[0] if len(names) == 1 else f"{names[0]} and {counted(len(names) - 1, 'more topic')}"


def still_to_do(change: TopicChange) -> str:
    """What the cluster does not show, some time after it was changed."""
    if change.action is TopicAction.ALTER:
        told = [
            f"{name} is {setting.before} and should be {setting.after or 'the default'}"
            for name, setting in sorted(change.settings.items())
        ]
        return f"{change.topic}: {', '.join(told)}"
    if change.action is TopicAction.REFUSE:
        return f"{change.topic}: {change.reason}"
    return f"{change.topic}: {'it is not there' if change.action is TopicAction.CREATE else 'it is still there'}"


def _same(actual: str | None, wanted: str) -> bool:
    if actual is None or actual == wanted:
        return actual == wanted
    try:
        return float(actual) == float(wanted)  # 0.2 and 0.20
    except ValueError:
        return False
