"""Faust's assignor for topics that have the number of partitions that the configuration says, whatever they have."""

from __future__ import annotations

from typing import Any

from faust.assignor.partition_assignor import PartitionAssignor


class CappedCluster:
    """Cluster metadata without the partitions from `limit` on."""

    def __init__(self, cluster: Any, limit: int) -> None:
        self._cluster = cluster
        self._limit = limit

    def partitions_for_topic(self, topic: str) -> set[int]:
        """Numbers of the topic's partitions; none for a topic that is not there."""
        return {number for number in self._cluster.partitions_for_topic(topic) or () if number < self._limit}


class KnownPartitions(PartitionAssignor):
    """Keeps together what belongs together when an operator gives a topic more partitions.

    Faust puts the partitions of topics with one count on one process, number by number: a planner's users beside their
    rows of the devices table. A topic with another count would be dealt out by itself, and no partition of it could be
    handled. Users are looked for in the first ones only, so the new ones are left alone.
    """

    def _get_copartitioned_groups(self, topics: Any, cluster: Any, subscriptions: Any) -> Any:  # type: ignore[override]
        capped = CappedCluster(cluster, self.app.conf.topic_partitions)
        return super()._get_copartitioned_groups(topics, capped, subscriptions)  # type: ignore[arg-type]
