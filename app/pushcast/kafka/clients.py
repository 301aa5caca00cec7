"""Every confluent-kafka client is made here, so that each reads only what is committed and logs where we log.

A client made elsewhere would write raw lines to stderr, between lines that others parse as JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.security import librdkafka_config

#: Its lines are limited while a broker is away (`observe.rate_limit` knows the package).
logger = logging.getLogger(__name__)

#: Records of an aborted transaction were never written, and those of an open one may still be aborted.
ISOLATION_LEVEL = "read_committed"


def client_config(bootstrap_servers: str, security: KafkaSecurity | None, *, tool: bool = False) -> dict[str, Any]:
    """Where the brokers are and how to reach them; the password is among it, so do not log it.

    `tool`: for a command that ends with one sentence about what failed. The client's own lines about a broker that is
    away say no more than that; why TLS or a password was refused, it says nowhere else.
    Raises ConfigurationError for a file that cannot be read.
    """
    plaintext = security is None or security.protocol == "PLAINTEXT"
    return {
        **({"log_level": 0 if plaintext else 3} if tool else {}),
        "bootstrap.servers": bootstrap_servers,
        # Brokers on one machine listen on IPv4; a client that tries ::1 first waits for its refusal.
        "broker.address.family": "v4" if "127.0.0.1" in bootstrap_servers else "any",
        **({} if security is None else librdkafka_config(security)),
    }


def member_config(session_timeout_seconds: float, static: str | None = None) -> dict[str, Any]:
    """How a consumer of librdkafka belongs to its group: its partitions go to others when it is silent for so long.

    librdkafka's own 45 s would leave what a killed process had unread for that time. `static`: its stable name there.
    """
    member: dict[str, Any] = {"session.timeout.ms": round(session_timeout_seconds * 1000)}
    return member if static is None else member | {"group.instance.id": static}


def open_consumer(client: Mapping[str, Any], group: str, **settings: Any) -> Consumer:
    """A consumer that commits nothing by itself and gives no record of an aborted or open transaction.

    `client`: from `client_config`. `settings`: more of librdkafka's, dots written as underscores.
    """
    return Consumer(
        {
            **client,
            "group.id": group,
            "enable.auto.commit": False,
            **_dotted(settings),
            "isolation.level": ISOLATION_LEVEL,
        },
        logger=ClientLog(),
    )


def open_peeker(client: Mapping[str, Any], group: str) -> Consumer:
    """A consumer that sees records of open transactions: to find out where one is and since when, for nothing else."""
    peeks = {"group.id": group, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
    return Consumer({**client, **peeks}, logger=ClientLog())


def open_producer(client: Mapping[str, Any], **settings: Any) -> Producer:
    """An idempotent producer that waits for all replicas. `settings` as for `open_consumer`."""
    return Producer({**client, "acks": "all", "enable.idempotence": True, **_dotted(settings)}, logger=ClientLog())


def open_admin(client: Mapping[str, Any], **settings: Any) -> AdminClient:
    """For questions about topics and groups. `settings` as for `open_consumer`."""
    return AdminClient({**client, **_dotted(settings)}, logger=ClientLog())


def cluster_metadata(admin: AdminClient, timeout_seconds: float) -> Any:
    """Topics, brokers and cluster id (`confluent_kafka.admin.ClusterMetadata`). Raises KafkaException.

    The client's own lines are logged first: why TLS or a password was refused, it says nowhere else.
    """
    try:
        return admin.list_topics(timeout=timeout_seconds)
    except KafkaException:
        admin.poll(0)
        raise


class ClientLog:
    """librdkafka's log lines. Raises nothing into the C client, whatever the handlers do."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        """One line, as `logging.Logger.log` takes it."""
        with suppress(Exception):
            logger.log(level, text, *arguments)


def _dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in settings.items()}
