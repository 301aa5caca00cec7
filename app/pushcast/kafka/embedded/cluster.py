"""Start, stop and look at an embedded cluster; and a temporary one that dies with us."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pushcast.kafka.embedded import archive, jars, java, ports, process, properties, readiness, state, storage
from pushcast.kafka.embedded.environment import Environment
from pushcast.kafka.embedded.errors import BrokerFailedError, PortTakenError, SettingError, StorageError
from pushcast.kafka.embedded.state import ClusterInfo, Layout

MAX_BROKERS = 5
START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 30.0
#: How often a start takes other ports when another process was faster to bind the ones it chose.
START_ATTEMPTS = 3
_PORT_IN_USE = "Address already in use"

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Progress goes nowhere unless a caller shows it."""


@dataclass(frozen=True, slots=True)
class _Runtime:
    """What runs a broker: found once per start."""

    java: Path
    jars: Sequence[Path]
    start_options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=lambda: os.environ | {"LC_ALL": "C.UTF-8"})

    @classmethod
    def find(cls, environment: Environment, cache: Path | None, offline: bool, progress: Progress) -> _Runtime:
        java.check_platform()
        found = java.find(environment.java)
        cached = cache.absolute() if cache else jars.default_cache(environment)
        paths = jars.fetch(cached, environment, offline=offline, progress=progress)
        return cls(found, paths, archive.options(found, paths, cached, progress))

    def spawn(self, broker_dir: Path, brokers: int) -> int:
        # G1 pauses less; with several brokers on a laptop memory and threads count more.
        collector = "-XX:+UseG1GC" if brokers == 1 else "-XX:+UseSerialGC"
        options = (*self.start_options, "-Xmx512m", "-Xms256m", collector)
        return process.spawn(broker_dir, self.java, self.jars, *options, environment=self.environment)

    def tool(self, *arguments: str) -> list[str]:
        options = (*self.start_options, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        return [*process.java_command(self.java, self.jars, *options), *arguments]


def start(
    *,
    brokers: int | None = None,
    data_dir: Path | None = None,
    port: int | None = None,
    offline: bool = False,
    jars_cache: Path | None = None,
    progress: Progress = _silent,
    environment: Environment | None = None,
) -> ClusterInfo:
    """Starts the cluster of `data_dir` as daemons and blocks until it is ready: every broker answers, and the group and
    transaction coordinators are loaded.

    Idempotent: what runs already is left running, brokers that are missing are started. A file `extra.properties` in
    `data_dir` is appended to each broker's configuration, where the last word counts. `brokers` None is what the
    directory was made with, else 1. `port` is the first broker's; without it 9092, or free ones when that is taken.
    Raises a kind of EmbeddedKafkaError; brokers that this call started are then killed, their logs stay.
    """
    environment = environment or Environment.read()
    directory = (data_dir or environment.data_dir).absolute()
    if brokers is not None and not 1 <= brokers <= MAX_BROKERS:
        raise SettingError(f"--brokers must be 1 to {MAX_BROKERS}, not {brokers}")
    if port is not None and not 1 <= port <= 65_535 - MAX_BROKERS:
        raise SettingError(f"--port must be 1 to {65_535 - MAX_BROKERS}, not {port}")
    with state.exclusive(directory):
        layout = state.read(directory)
        if layout is not None and brokers not in {None, layout.brokers}:
            raise SettingError(
                f"{directory} was made for {layout.brokers} broker(s), not {brokers}: choose another --data-dir"
            )
        living = {} if layout is None else _living(directory, layout)
        if layout is not None and living and port not in {None, layout.ports[0]}:
            raise SettingError(f"already running at {layout.bootstrap_servers}; stop it before choosing another port")
        runtime = _Runtime.find(environment, jars_cache, offline, progress)
        for attempt in range(1, START_ATTEMPTS + 1):
            layout = _with_ports(layout, brokers or 1, port, living)
            try:
                return _bring_up(directory, layout, living, runtime, progress)
            except BrokerFailedError as error:
                if port is not None or living or _PORT_IN_USE not in str(error) or attempt == START_ATTEMPTS:
                    raise
                progress("another process took the chosen port; trying others")
        raise AssertionError("unreachable: the last attempt returns or raises")


def stop(
    data_dir: Path | None = None, *, timeout_seconds: float = STOP_TIMEOUT_SECONDS, progress: Progress = _silent
) -> bool:
    """Ends the brokers of `data_dir` with SIGTERM, which flushes and closes their logs, and with SIGKILL after the
    timeout. Blocks until they are gone. False when none ran."""
    directory = (data_dir or Environment.read().data_dir).absolute()
    if not directory.is_dir():
        return False
    with state.exclusive(directory):
        layout = state.read(directory)
        living = {} if layout is None else _living(directory, layout)
        for pid in living.values():
            process.send_signal(pid, signal.SIGTERM)
        for index, pid in living.items():
            if not process.wait_gone(pid, state.broker_dir(directory, index), timeout_seconds):
                progress(f"broker {index + 1} (pid {pid}) did not end within {timeout_seconds:.0f} s and is killed")
                _kill(directory, index)
        for index in range(layout.brokers if layout else 0):
            (state.broker_dir(directory, index) / "pid").unlink(missing_ok=True)
        return bool(living)


def status(data_dir: Path | None = None) -> ClusterInfo | None:
    """The running cluster of `data_dir`; None when no broker process lives or none accepts connections."""
    directory = (data_dir or Environment.read().data_dir).absolute()
    if not directory.is_dir() or (layout := state.read(directory)) is None:
        return None
    living = _living(directory, layout)
    if not any(ports.accepts(layout.ports[index], timeout_seconds=1.0) for index in living):
        return None
    return _info(directory, layout, living)


class Cluster:
    """A handle on a running cluster, for tests and faults. Broker indexes are 0-based."""

    def __init__(self, data_dir: Path, *, jars_cache: Path | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self._jars_cache = jars_cache

    @property
    def info(self) -> ClusterInfo:
        layout = self._layout()
        return _info(self.data_dir, layout, _living(self.data_dir, layout))

    @property
    def bootstrap_servers(self) -> str:
        return self._layout().bootstrap_servers

    def pid(self, index: int) -> int | None:
        return process.pid_of(state.broker_dir(self.data_dir, index))

    def kill_broker(self, index: int) -> None:
        """SIGKILL, and blocks until the process is gone. Nothing happens when it is down."""
        _kill(self.data_dir, index)

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
        living = _living(self.data_dir, layout)
        if index in living:
            return
        runtime = _Runtime.find(Environment.read(), self._jars_cache, True, _silent)
        living[index] = runtime.spawn(state.broker_dir(self.data_dir, index), layout.brokers)
        if wait:
            _wait_ready(self.data_dir, layout, living)

    def destroy(self) -> None:
        """Kills every broker and removes the directory. Safe to repeat."""
        if self.data_dir.is_dir():
            layout = state.read(self.data_dir)
            for index in range(layout.brokers if layout else 0):
                _kill(self.data_dir, index)
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
def temporary_cluster(brokers: int = 1, *, offline: bool = False, progress: Progress = _silent) -> Iterator[Cluster]:
    """A fresh cluster on free ports in a directory of its own; killed and removed at exit.

    When this process dies without leaving the context, a watchdog process does the same.
    """
    directory = Path(tempfile.mkdtemp(prefix="pushcast-kafka-"))
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
        state.write(directory, Layout(storage.new_cluster_id(), tuple(free[:brokers]), tuple(free[brokers:])))
        start(data_dir=directory, offline=offline, progress=progress)
        yield cluster
    finally:
        try:
            cluster.destroy()
        finally:
            assert watchdog.stdin is not None
            watchdog.stdin.close()
            watchdog.wait(timeout=STOP_TIMEOUT_SECONDS)


def _with_ports(layout: Layout | None, brokers: int, port: int | None, living: dict[int, int]) -> Layout:
    """The layout to start with: the ports of the last start where they can be had, others where they may be."""
    chance = random.SystemRandom()
    if layout is None:
        chosen = ports.for_brokers(brokers, port, chance)
        others = ports.choose(brokers, chance, besides=frozenset(chosen))
        return Layout(storage.new_cluster_id(), tuple(chosen), tuple(others))
    down = [index for index in range(layout.brokers) if index not in living]
    needed = [each for index in down for each in (layout.ports[index], layout.controller_ports[index])]
    wanted = port in {None, layout.ports[0]}
    if wanted and all(ports.is_free(each) for each in needed):
        return layout
    if living:
        taken = next(each for each in needed if not ports.is_free(each))
        raise PortTakenError(
            f"a broker of this cluster needs port {taken}, which is in use: free it, or stop the cluster"
        )
    count = layout.brokers
    chosen = ports.choose(count, chance) if port is None else ports.for_brokers(count, port, chance)
    return layout.on_ports(chosen, ports.choose(count, chance, besides=frozenset(chosen)))


def _bring_up(
    directory: Path, layout: Layout, living: dict[int, int], runtime: _Runtime, progress: Progress
) -> ClusterInfo:
    down = [index for index in range(layout.brokers) if index not in living]
    if down and not living:
        state.write(directory, layout)
    _prepare(directory, layout, down, runtime, progress)
    started: dict[int, int] = {}
    try:
        for index in down:
            started[index] = runtime.spawn(state.broker_dir(directory, index), layout.brokers)
        if down:
            progress(f"waiting for {len(down)} broker(s) at {layout.bootstrap_servers}, data in {directory}")
        _wait_ready(directory, layout, living | started)
    except BaseException:
        for index in started:
            _kill(directory, index)
        raise
    return _info(directory, layout, living | started)


def _prepare(directory: Path, layout: Layout, down: list[int], runtime: _Runtime, progress: Progress) -> None:
    """Configuration files, and formatted storage where there is none yet."""
    formatting = {}
    own = directory / state.EXTRA_PROPERTIES
    extra = own.read_text() if own.exists() else ""
    for index in down:
        folder = state.broker_dir(directory, index)
        folder.mkdir(exist_ok=True)
        if (folder / "pid").exists():
            progress(f"{folder / 'pid'} is stale: that broker ended without being stopped; Kafka recovers its logs now")
            (folder / "pid").unlink()
        (folder / "log4j2.xml").write_text(properties.LOG4J2_XML)
        text = properties.server_properties(index + 1, layout.ports, layout.controller_ports)
        (folder / "server.properties").write_text(text + extra)
        if not storage.is_formatted(folder, layout.cluster_id):
            if storage.is_half_formatted(folder):
                progress(f"{folder / 'data'} is half formatted and holds no topic: formatting it again")
                shutil.rmtree(folder / "data")
            formatting[folder] = storage.start_format(folder, layout.cluster_id, runtime.tool, runtime.environment)
    for folder, running in formatting.items():
        storage.finish_format(folder, running)


def _wait_ready(directory: Path, layout: Layout, pids: dict[int, int]) -> None:
    def check_alive() -> None:
        for index, pid in pids.items():
            folder = state.broker_dir(directory, index)
            if not process.alive(pid, folder):
                raise BrokerFailedError(f"broker {index + 1} (pid {pid}) ended: {_last_words(folder)}")

    servers = ",".join(f"{ports.HOST}:{layout.ports[index]}" for index in pids)
    readiness.wait(servers, layout.cluster_id, len(pids), check_alive, START_TIMEOUT_SECONDS)


def _last_words(folder: Path) -> str:
    """Why a broker ended, from the end of its logs, and where to read on."""
    lines: list[str] = []
    for name in ("kafka.log", "stdout.log"):
        with contextlib.suppress(FileNotFoundError), (folder / name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64_000))
            lines += file.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if " ERROR " in line or " FATAL " in line or "Exception" in line]
    return f"{' / '.join((telling or lines)[-4:])[:1200]} (log: {folder / 'kafka.log'})"


def _living(directory: Path, layout: Layout) -> dict[int, int]:
    pids = {index: process.pid_of(state.broker_dir(directory, index)) for index in range(layout.brokers)}
    return {index: pid for index, pid in pids.items() if pid is not None}


def _kill(directory: Path, index: int) -> None:
    folder = state.broker_dir(directory, index)
    if (pid := process.pid_of(folder)) is not None:
        process.send_signal(pid, signal.SIGKILL)
        if not process.wait_gone(pid, folder, STOP_TIMEOUT_SECONDS):
            raise BrokerFailedError(f"broker {index + 1} (pid {pid}) survives SIGKILL: it hangs in the kernel")


def _info(directory: Path, layout: Layout, living: dict[int, int]) -> ClusterInfo:
    return ClusterInfo(
        bootstrap_servers=layout.bootstrap_servers,
        brokers=layout.brokers,
        pids=tuple(living[index] for index in sorted(living)),
        data_dir=directory,
        log_files=tuple(state.broker_dir(directory, index) / "kafka.log" for index in range(layout.brokers)),
    )
