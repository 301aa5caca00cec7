"""The broker's configuration files, as text. Units are in Kafka's own names."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.kafka.embedded.ports import HOST

#: Kafka's own default: 1 MiB of records and 12 bytes of batch overhead. Topics override it with max.message.bytes.
MESSAGE_MAX_BYTES = 1_048_588
#: Few partitions make a fresh cluster ready sooner: each has to be created, elected and loaded.
INTERNAL_PARTITIONS = 8
#: A killed broker can register again only when its old session has ended.
SESSION_TIMEOUT_MS = 3000
#: Nobody takes a lone broker's place. On a busy machine it may have no core for seconds, and is then fenced by itself:
#: all its partitions are without a leader until it comes back. This is Kafka's own default.
LONE_SESSION_TIMEOUT_MS = 9000


def server_properties(node: int, ports: Sequence[int], controller_ports: Sequence[int]) -> str:
    """server.properties of node `node` (1-based) of a cluster whose brokers are controllers too.

    Replication factor 3 and min.insync.replicas 2 from three brokers up. Paths are relative: the broker runs in its own
    directory, so no path needs the escaping of a properties file.
    """
    replicas = min(3, len(ports))
    in_sync = max(1, replicas - 1)
    session_timeout_ms = SESSION_TIMEOUT_MS if len(ports) > 1 else LONE_SESSION_TIMEOUT_MS
    voters = ",".join(f"{index}@{HOST}:{port}" for index, port in enumerate(controller_ports, start=1))
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{HOST}:{ports[node - 1]},CONTROLLER://{HOST}:{controller_ports[node - 1]}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports[node - 1]}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",
        "auto.create.topics.enable": "false",
        "message.max.bytes": MESSAGE_MAX_BYTES,
        "num.partitions": 8,
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        # A transaction that its producer left open holds up every reader of its partitions until the broker ends it.
        "transaction.max.timeout.ms": 60_000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "broker.session.timeout.ms": session_timeout_ms,
        "broker.heartbeat.interval.ms": session_timeout_ms // 3,
        # Compaction is part of what tests look at; the default back-off is 15 s, the default buffer 128 MiB of heap.
        "log.cleaner.backoff.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


#: Ten files of 10 MiB at most; the level is the broker's own default for everything.
LOG4J2_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders>
    <RollingFile name="file" fileName="kafka.log" filePattern="kafka.%i.log">
      <PatternLayout pattern="%d{ISO8601} %p %c{1.} - %m%n"/>
      <SizeBasedTriggeringPolicy size="10 MB"/>
      <DefaultRolloverStrategy max="9"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""
