"""An Apache Kafka of our own: real brokers in KRaft mode, started without root, Docker, Maven or an installed JDK."""

from __future__ import annotations

from pushcast.kafka.embedded.cluster import delete, start, status, stop
from pushcast.kafka.embedded.environment import ENVIRONMENT_NAMES, Environment
from pushcast.kafka.embedded.errors import EmbeddedKafkaError
from pushcast.kafka.embedded.handle import Cluster, temporary_cluster
from pushcast.kafka.embedded.jars import KAFKA_VERSION
from pushcast.kafka.embedded.state import ClusterInfo

__all__ = [
    "ENVIRONMENT_NAMES",
    "KAFKA_VERSION",
    "Cluster",
    "ClusterInfo",
    "EmbeddedKafkaError",
    "Environment",
    "delete",
    "start",
    "status",
    "stop",
    "temporary_cluster",
]
