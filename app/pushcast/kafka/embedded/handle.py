"""A handle on a running cluster, for tests and faults; and a temporary cluster that dies with us."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pushcast.kafka.embedded import members, ports, process, state, storage
from pushcast.kafka.embedded.cluster import start
from pushcast.kafka.embedded.environment import Environment
from pushcast.kafka.embedded.errors import BrokerFailedError, StorageError
from pushcast.kafka.embedded.members import STOP_TIMEOUT_SECONDS
from pushcast.kafka.embedded.runtime import Progress, Runtime, silent
from pushcast.kafka.embedded.state import ClusterInfo, Layout


class Cluster:
    """A handle on a running cluster, for tests and faults. Broker indexes are 0-based."""

    def __init__(self, data_dir: Path, *, jars_cache: Path | None = None) -> None:
        self.data_dir = state.directory_of(data_dir)
        self._jars_cache = jars_cache

    @property
    def info(self) -> ClusterInfo:
        layout = self._layout()
        return members.info(self.data_dir, layout, members.living(self.data_dir, layout))

    @property
    def bootstrap_servers(self) -> str:
        return self._layout().bootstrap_servers

    def pid(self, index: int) -> int | None:
        return process.pid_of(state.broker_dir(self.data_dir, index))

    def kill_broker(self, index: int) -> None:
        """SIGKILL, and blocks until the process is gone. Nothing happens when it is down."""
        members.kill(self.data_dir, index)

    def pause_broker(self, index: int) -> None:
        """SIGSTOP, and blocks until every thread has stopped: it keeps its connections and answers nothing."""
        pid = self._running(index)
        process.send_signal(pid, signal.SIGSTOP)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while not process.paused(pid):
            if time.monotonic() >= deadline or not process.alive(pid, state.broker_dir(self.data_dir, index)):
                raise BrokerFailedError(f"broker {index + 1} (pid {pid}) could not be paused")
            time.sleep(process.POLL_SECONDS)

    def resume_broker(self, index: int) -> None:
        """SIGCONT after `pause_broker`."""
        process.send_signal(self._running(index), signal.SIGCONT)

    def start_broker(self, index: int, *, wait: bool = True) -> None:
        """Starts a broker that is down, on its old port and data; `wait` blocks until all living brokers answer.
        After a SIGKILL that takes about 9 s: its old session has to end first."""
        layout = self._layout()
        living = members.living(self.data_dir, layout)
        if index in living:
            return
        runtime = Runtime.find(Environment.read(), self._jars_cache, True, silent)
        living[index] = runtime.spawn(state.broker_dir(self.data_dir, index), layout.brokers)
        if wait:
            members.wait_ready(self.data_dir, layout, living)

    def destroy(self) -> None:
        """Kills every broker and removes the directory. Safe to repeat."""
        if self.data_dir.is_dir():
            layout = state.read(self.data_dir)
            for index in range(layout.brokers if layout else 0):
                members.kill(self.data_dir, index)
            shutil.rmtree(self.data_dir)

    def _layout(self) -> Layout:
        layout = state.read(self.data_dir) if self.data_dir.is_dir() else None
        if layout is None:
            raise StorageError(f"{self.data_dir} holds no cluster")
        return layout

    def _running(self, index: int) -> int:
        if (pid := self.pid(index)) is None:
            raise BrokerFailedError(f"broker {index + 1} of {self.data_dir} is not running")
        return pid


@contextlib.contextmanager
def temporary_cluster(
    brokers: int = 1,
    *,
    properties: Mapping[str, str] | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> Iterator[Cluster]:
    """A fresh cluster on free ports in a directory of its own; killed and removed at exit. `properties`: more settings
    of its brokers.

    When this process dies without leaving the context, a watchdog process does the same.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix="pushcast-kafka-"))
    except OSError as error:
        raise StorageError(f"no room for a temporary Kafka (TMPDIR says where): {error}") from error
    watchdog = subprocess.Popen(
        [sys.executable, "-P", "-m", "pushcast.kafka.embedded.watchdog", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    cluster = Cluster(directory)
    try:
        # Never 9092: a client with default settings must not meet a cluster that is about to vanish.
        free = ports.choose(2 * brokers, random.SystemRandom())
        own = "".join(f"{name}={value}\n" for name, value in (properties or {}).items())
        with state.usable(directory):
            state.write(directory, Layout(storage.new_cluster_id(), tuple(free[:brokers]), tuple(free[brokers:])))
            (directory / state.EXTRA_PROPERTIES).write_text(own)
        start(data_dir=directory, offline=offline, progress=progress)
        yield cluster
    finally:
        try:
            cluster.destroy()
        finally:
            assert watchdog.stdin is not None
            watchdog.stdin.close()
            watchdog.wait(timeout=STOP_TIMEOUT_SECONDS)
