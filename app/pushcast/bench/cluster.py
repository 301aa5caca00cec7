"""The ground a benchmark stands on: a cluster with the topology applied, and roles as processes of their own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Consumer, TopicPartition

from pushcast.bench import meter
from pushcast.bench.base import Options, Row
from pushcast.config.settings import CONFIG_VARIABLE, Settings
from pushcast.kafka import embedded
from pushcast.kafka.offsets import watermarks
from pushcast.kafka.security import librdkafka_config
from pushcast.kafka.topics import apply, load_topology
from pushcast.model.errors import PushcastError
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.runtime.priority import stand_apart

READY_SECONDS = 120.0  # on a busy machine the tails of a role are read slowly
STOP_SECONDS = 40.0
POLL_SECONDS = 0.1
PARTITIONS = 8


class BenchCluster:
    """A cluster with Pushcast's topics, a configuration for roles, and questions to it."""

    def __init__(self, settings: Settings, folder: Path, broker_pids: Sequence[int] = ()) -> None:
        self.settings = settings
        self.folder = folder
        self.broker_pids = broker_pids  # none of a Kafka that was given
        self.client: dict[str, Any] = {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            **librdkafka_config(settings.kafka.security),
        }

    def ends(self, topic: str) -> list[int]:
        """End offset of each partition, in their order."""
        consumer = self._consumer("pushcast-bench")
        try:
            return [watermarks(consumer, topic, tp.partition)[1] for tp in self._partitions(topic)]
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> list[int]:
        """Committed offset of each partition, 0 where there is none. Joins no group."""
        consumer = self._consumer(group)
        try:
            return [max(0, tp.offset) for tp in consumer.committed(self._partitions(topic), timeout=15)]
        finally:
            consumer.close()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.settings.kafka.partitions)]

    def _consumer(self, group: str) -> Consumer:
        return Consumer({**self.client, "group.id": group, "enable.auto.commit": False})


@contextmanager
def bench_cluster(
    options: Options, configuration: Mapping[str, Any], partitions: int = PARTITIONS, brokers: int = 1
) -> Iterator[BenchCluster]:
    """A temporary embedded cluster of that many brokers, or the one that the options name, with the topology applied.

    `configuration` is merged into pushcast.yaml beside `kafka` and `data_dir`. While it is open this process, too, has
    PUSHCAST_CONFIG set, so that roles inherit it.
    """
    with tempfile.TemporaryDirectory(prefix="pushcast-bench-") as name:
        folder = Path(name)
        if options.bootstrap_servers is not None:
            yield from _opened(options.bootstrap_servers, folder, configuration, partitions)
            return
        options.say("starting Apache Kafka (the first time its jars are downloaded)")
        with embedded.temporary_cluster(brokers=brokers, progress=options.say) as cluster:
            pids = [pid for pid in map(cluster.pid, range(brokers)) if pid is not None]
            yield from _opened(cluster.bootstrap_servers, folder, configuration, partitions, pids)


def _opened(
    servers: str, folder: Path, configuration: Mapping[str, Any], partitions: int, broker_pids: Sequence[int] = ()
) -> Iterator[BenchCluster]:
    tree = {
        "kafka": {"bootstrap_servers": servers, "partitions": partitions},
        "data_dir": str(folder / "data"),
        **configuration,
    }
    path = folder / "pushcast.yaml"
    path.write_text(yaml.safe_dump(tree))
    before = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(path)
    try:
        cluster = BenchCluster(Settings(), folder, broker_pids)
        kafka = cluster.settings.kafka
        apply(cluster.client, load_topology(), kafka.partitions, kafka.replication_factor)
        yield cluster
    finally:
        if before is None:
            del os.environ[CONFIG_VARIABLE]
        else:
            os.environ[CONFIG_VARIABLE] = before


class ProcessUnderTest:
    """A process of its own, measured from outside. Use it as a context manager; it ends with SIGTERM."""

    def __init__(self, command: Sequence[str], log: Path, niceness: int = 0) -> None:
        self._command = command
        self._log = log
        self._niceness = niceness
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ProcessUnderTest:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                preexec_fn=partial(stand_apart, self._niceness),  # noqa: PLW1509 - it locks nothing
            )
        return self

    def __exit__(self, *_: object) -> None:
        process = self._running()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        return self._running().pid

    def reading(self) -> meter.Reading:
        """What it has used so far. Raises PushcastError with the end of its log when it is gone."""
        self.check()
        return meter.read(self.pid)

    def check(self) -> None:
        """Raises PushcastError with the end of its log when it is gone."""
        code = self._running().poll()
        if code is not None:
            raise PushcastError(f"the process under test ended with {code}:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def until(self, condition: Any, what: str, timeout_seconds: float, poll_seconds: float = POLL_SECONDS) -> None:
        """Polls `condition()` until it is true; raises PushcastError with the end of the log when the time is over or
        the process is gone."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise PushcastError(f"{what}: not within {timeout_seconds:.0f} s:\n{self._tail()}")
            time.sleep(poll_seconds)

    def row(self, name: str, items: int, start: meter.Reading, latency_ms: Mapping[str, float] | None = None) -> Row:
        """The measurement from `start` until now."""
        end = self.reading()
        return Row(
            name,
            items,
            end.at_seconds - start.at_seconds,
            end.cpu_seconds - start.cpu_seconds,
            end.rss_bytes,
            latency_ms,
        )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("enter the context first")
        return self._process


@contextmanager
def role(
    cluster: BenchCluster,
    *arguments: str,
    niceness: int = 0,
    command: Callable[..., Sequence[str]] = child_command,
) -> Iterator[ProcessUnderTest]:
    """`pushcast run ARGUMENTS` as the process under test, from when it is ready (assigned, tables recovered)."""
    log = cluster.folder / f"{'-'.join(arguments)}.log"
    with ProcessUnderTest(command("run", *arguments), log, niceness) as process:
        process.until(lambda: is_ready(cluster, process.pid), f"run {' '.join(arguments)} is ready", READY_SECONDS)
        yield process


def is_ready(cluster: BenchCluster, pid: int) -> bool:
    """Whether the role of this process id has its partitions and recovered tables."""
    return any(entry.pid == pid and _says_ready(entry) for entry in whereabouts.read_all(cluster.settings.data_dir))


def ready_names(cluster: BenchCluster) -> set[str]:
    """Names of the processes of this cluster's data directory that are ready."""
    return {entry.name for entry in whereabouts.read_all(cluster.settings.data_dir) if _says_ready(entry)}


def _says_ready(entry: whereabouts.Whereabouts) -> bool:
    with suppress(OSError):  # not listening yet, or too busy to answer
        urllib.request.urlopen(f"http://{entry.host}:{entry.port}/health/ready", timeout=2).close()
        return True
    return False
