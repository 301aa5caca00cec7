"""Faust Apps with the batch transport, and what is declared on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import faust
from yarl import URL

from pushcast.config.security import KafkaSecurity
from pushcast.kafka.security import faust_credentials
from pushcast.model.errors import ConfigurationError
from pushcast.stream.assignment import REBALANCE_TIMEOUT_SECONDS
from pushcast.stream.spec import Subscription
from pushcast.stream.stage import BatchStage
from pushcast.stream.tracker import Bounds
from pushcast.transport.assignor import KnownPartitions
from pushcast.transport.entries import StageEntry
from pushcast.transport.folders import private_folder
from pushcast.transport.table import SourceTable
from pushcast.transport.transport import BatchTransport, PromptTableManager
from pushcast.transport.work import AppWork

#: Topics are read as they are; the stages decode.
RAW: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}

REQUEST_TIMEOUT_SECONDS: Final = 40.0


def make_app(
    name: str,
    *,
    bootstrap_servers: str,
    security: KafkaSecurity | None = None,
    partitions: int,
    data_dir: Path,
    slot: str | None = None,
    commit_interval_seconds: float = 0.25,
    max_poll_records: int = 2000,
    max_partition_fetch_bytes: int = 262_144,
    fetch_max_wait_ms: int = 500,
    gather_ms: int = 0,
    session_timeout_seconds: float = 10.0,
    heartbeat_interval_seconds: float = 1.0,
    rebalance_timeout_seconds: float = REBALANCE_TIMEOUT_SECONDS,
) -> faust.App:
    """An App whose id and consumer group are `name`; nothing connects before it is started.

    `slot` is a stable name of this process among its peers: it gives static membership (a restart within the session
    timeout moves no partition) and a data directory of its own. Two processes must not share a data directory.
    `gather_ms`: how long records come together behind an answer that had few of them (`gathering`).
    `bootstrap_servers` is `host:port`, several with commas. Raises ConfigurationError for values that cannot work.
    """
    if heartbeat_interval_seconds * 3 > session_timeout_seconds:
        raise ConfigurationError("the session timeout must be at least three heartbeat intervals")
    directory = data_dir / (name if slot is None else f"{name}-{slot}")
    private_folder(directory)
    app = faust.App(
        name,
        broker=[URL(f"kafka://{server}") for server in server_list(bootstrap_servers)],
        broker_client_id=name if slot is None else f"{name}-{slot}",
        broker_credentials=None if security is None else faust_credentials(security),
        consumer_group_instance_id=None if slot is None else f"{name}-{slot}",
        datadir=str(directory),
        store="rocksdb://",
        Table=SourceTable,
        TableManager=PromptTableManager,
        PartitionAssignor=KnownPartitions,
        table_standby_replicas=0,
        topic_partitions=partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        stream_recovery_delay=0.0,
        stream_wait_empty=True,
        broker_commit_interval=commit_interval_seconds,
        broker_commit_every=None,
        broker_max_poll_records=max_poll_records,
        broker_session_timeout=session_timeout_seconds,
        broker_heartbeat_interval=heartbeat_interval_seconds,
        broker_rebalance_timeout=rebalance_timeout_seconds,
        # aiokafka takes no less than the session timeout.
        broker_request_timeout=max(REQUEST_TIMEOUT_SECONDS, session_timeout_seconds),
        consumer_max_fetch_size=max_partition_fetch_bytes,
        consumer_auto_offset_reset="earliest",
        producer_linger=0.0,
    )
    app.finalize()
    transport = BatchTransport(app.conf.broker_consumer, app)
    transport.fetch_max_wait_ms = fetch_max_wait_ms
    transport.gather_ms = gather_ms
    app.transport = transport
    app.producer_transport = BatchTransport(app.conf.broker_producer, app)
    return app


def server_list(bootstrap_servers: str) -> list[str]:
    """`host:port` entries. `localhost` becomes 127.0.0.1: brokers on one machine listen on IPv4, and a client that
    tries ::1 first waits for its refusal. Raises ConfigurationError when empty."""
    servers = [server.strip() for server in bootstrap_servers.split(",") if server.strip()]
    if not servers:
        raise ConfigurationError("kafka.bootstrap_servers is empty; give host:port, several with commas")
    return [re.sub("^localhost(?=:|$)", "127.0.0.1", server) for server in servers]


def transport_of(app: faust.App) -> BatchTransport:
    """The batch transport of an App made by `make_app`."""
    return cast(BatchTransport, app.transport)


def add_batch_stage(app: faust.App, topics: Sequence[str], stage: BatchStage, *, bounds: Bounds) -> None:
    """`add_stage` for topics with equal bounds."""
    add_stage(app, (Subscription(tuple(topics), bounds),), stage)


def add_stage(app: faust.App, subscriptions: Sequence[Subscription], stage: BatchStage) -> None:
    """Subscribes the App to the topics and gives their records to the stage. Before the App starts; sets `stage.work`.

    Raises ConfigurationError when a topic has a stage already.
    """
    entries, gathered = transport_of(app).stages, transport_of(app).gathered
    for each in subscriptions:
        if each.gathered:
            gathered.update(each.topics)
        for topic in each.topics:
            if topic in entries:
                raise ConfigurationError(f"topic {topic} has two stages in one App")
            entries[topic] = StageEntry(stage, each.bounds)
            # acks=False: Faust's own acknowledgement and its livelock alarms have no part in this topic.
            app.topics.add(app.topic(topic, acks=False, **RAW))
    stage.work = AppWork(app, [topic for each in subscriptions for topic in each.topics])


def add_devices_table(
    app: faust.App, topic: str, name: str = "devices", *, stale_after_seconds: float | None = None
) -> SourceTable:
    """A table over a compacted topic with the App's partition count. Before the App starts.

    `stale_after_seconds` must be below the topic's `delete.retention.ms`; default 5 days.
    """
    table = cast(SourceTable, app.Table(name, changelog_topic=app.topic(topic, acks=False, internal=True, **RAW)))
    table.stale_after_seconds = stale_after_seconds
    return table
