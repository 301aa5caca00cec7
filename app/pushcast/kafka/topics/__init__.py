"""Topology as reviewed data: files in `topology/topics/`, compared with a cluster and applied to it."""

from __future__ import annotations

from pushcast.kafka.topics.cluster import apply, plan
from pushcast.kafka.topics.diff import TopicAction, TopicChange
from pushcast.kafka.topics.errors import (
    ClusterUnavailable,
    InvalidTopology,
    TopologyConflict,
    TopologyError,
    UndeclaredEdge,
)
from pushcast.kafka.topics.load import check_edges, load_topology, read_topology
from pushcast.kafka.topics.model import Topic, TopicFamily, Topology
from pushcast.kafka.topics.words import Role

__all__ = [
    "ClusterUnavailable",
    "InvalidTopology",
    "Role",
    "Topic",
    "TopicAction",
    "TopicChange",
    "TopicFamily",
    "Topology",
    "TopologyConflict",
    "TopologyError",
    "UndeclaredEdge",
    "apply",
    "check_edges",
    "load_topology",
    "plan",
    "read_topology",
]
