"""Start, stop and look at an embedded cluster."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

from pushcast.kafka.embedded import members, ports, process, properties, state, storage
from pushcast.kafka.embedded.environment import Environment
from pushcast.kafka.embedded.errors import BrokerFailedError, PortTakenError, SettingError, StorageError
from pushcast.kafka.embedded.members import STOP_TIMEOUT_SECONDS
from pushcast.kafka.embedded.runtime import Progress, Runtime, silent
from pushcast.kafka.embedded.state import ClusterInfo, Layout
from pushcast.model.plural import counted

MAX_BROKERS = 5
#: How often a start takes other ports when another process was faster to bind the ones it chose.
START_ATTEMPTS = 3
_PORT_IN_USE = "Address already in use"


def start(
    *,
    brokers: int | None = None,
    data_dir: Path | None = None,
    port: int | None = None,
    offline: bool = False,
    jars_cache: Path | None = None,
    progress: Progress = silent,
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
    directory = state.directory_of(data_dir or environment.data_dir)
    if brokers is not None and not 1 <= brokers <= MAX_BROKERS:
        raise SettingError(f"--brokers must be 1 to {MAX_BROKERS}, not {brokers}")
    if port is not None and not 1 <= port <= 65_535 - MAX_BROKERS:
        raise SettingError(f"--port must be 1 to {65_535 - MAX_BROKERS}, not {port}")
    with state.exclusive(directory):
        layout = state.read(directory)
        if layout is not None and brokers not in {None, layout.brokers}:
            raise SettingError(
                f"{directory} was made for {counted(layout.brokers, 'broker')}, not {brokers}: take another --data-dir"
            )
        living = {} if layout is None else members.settled(directory, layout)
        if layout is not None and living and port not in {None, layout.ports[0]}:
            raise SettingError(f"already running at {layout.bootstrap_servers}; stop it before choosing another port")
        runtime = Runtime.find(environment, jars_cache, offline, progress)
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
    data_dir: Path | None = None, *, timeout_seconds: float = STOP_TIMEOUT_SECONDS, progress: Progress = silent
) -> bool:
    """Ends the brokers of `data_dir` with SIGTERM, which flushes and closes their logs, and with SIGKILL after the
    timeout. Blocks until they are gone. False when none ran."""
    directory = state.directory_of(data_dir or Environment.read().data_dir)
    if not state.is_there(directory):
        return False
    with state.exclusive(directory):
        layout = state.read(directory)
        living = {} if layout is None else members.living(directory, layout)
        for pid in living.values():
            process.send_signal(pid, signal.SIGTERM)
        for index, pid in living.items():
            if not process.wait_gone(pid, state.broker_dir(directory, index), timeout_seconds):
                progress(f"broker {index + 1} (pid {pid}) did not end within {timeout_seconds:.0f} s and is killed")
                members.kill(directory, index)
        for index in range(layout.brokers if layout else 0):
            (state.broker_dir(directory, index) / "pid").unlink(missing_ok=True)
        return bool(living)


def delete(data_dir: Path | None = None, *, progress: Progress = silent) -> bool:
    """Stops the brokers of `data_dir` and removes it. False when there was no cluster. Raises StorageError when
    the directory holds something else, which stays."""
    directory = state.directory_of(data_dir or Environment.read().data_dir)
    if not state.is_there(directory) or state.read(directory) is None:
        return False
    stop(directory, progress=progress)
    with state.usable(directory):
        shutil.rmtree(directory)
    return True


def status(data_dir: Path | None = None) -> ClusterInfo | None:
    """The running cluster of `data_dir`; None when no broker process lives or none accepts connections."""
    directory = state.directory_of(data_dir or Environment.read().data_dir)
    if not state.is_there(directory) or (layout := state.read(directory)) is None:
        return None
    with state.usable(directory):
        living = members.living(directory, layout)
    if not any(ports.accepts(layout.ports[index], timeout_seconds=1.0) for index in living):
        return None
    return members.info(directory, layout, living)


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
    directory: Path, layout: Layout, living: dict[int, int], runtime: Runtime, progress: Progress
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
            progress(f"waiting for {counted(len(down), 'broker')} at {layout.bootstrap_servers}, data in {directory}")
        try:
            members.wait_ready(directory, layout, living | started)
        except BrokerFailedError as error:
            # Seen once in some hundred starts after a SIGKILL: the JVM ended while it recovered its logs. And one that
            # was found alive may end while it is waited for.
            progress(f"{error}; it is started once more")
            for index, pid in (living | started).items():
                if not process.alive(pid, state.broker_dir(directory, index)):
                    started[index] = runtime.spawn(state.broker_dir(directory, index), layout.brokers)
            members.wait_ready(directory, layout, living | started)
    except BaseException:
        for index in started:
            members.kill(directory, index)
        raise
    for pid in started.values():
        process.defer_compiling(pid)
    return members.info(directory, layout, living | started)


def _prepare(directory: Path, layout: Layout, down: list[int], runtime: Runtime, progress: Progress) -> None:
    """Configuration files, and formatted storage where there is none yet."""
    formatting = {}
    own = directory / state.EXTRA_PROPERTIES
    try:
        extra = own.read_text(encoding="utf-8") if own.exists() else ""
    except UnicodeDecodeError as error:
        raise StorageError(f"{own}, byte {error.start + 1}: not UTF-8") from None
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
