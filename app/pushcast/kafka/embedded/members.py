"""The broker processes of a cluster: which live, whether they answer, why one ended, and the end of one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from pushcast.kafka.embedded import ports, process, readiness, state
from pushcast.kafka.embedded.errors import BrokerFailedError
from pushcast.kafka.embedded.state import ClusterInfo, Layout

START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 30.0


def living(directory: Path, layout: Layout) -> dict[int, int]:
    """Process ids by 0-based index of the brokers that run."""
    pids = {index: process.pid_of(state.broker_dir(directory, index)) for index in range(layout.brokers)}
    return {index: pid for index, pid in pids.items() if pid is not None}


def settled(directory: Path, layout: Layout) -> dict[int, int]:
    """Like `living`, but waits for brokers that are ending: a killed one lives until its last thread has ended."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while True:
        found = living(directory, layout)
        if not any(process.ending(pid) for pid in found.values()) or time.monotonic() >= deadline:
            return found
        time.sleep(process.POLL_SECONDS)


def info(directory: Path, layout: Layout, living: dict[int, int]) -> ClusterInfo:
    """The cluster as others see it."""
    return ClusterInfo(
        bootstrap_servers=layout.bootstrap_servers,
        brokers=layout.brokers,
        pids=tuple(living[index] for index in sorted(living)),
        data_dir=directory,
        log_files=tuple(state.broker_dir(directory, index) / "kafka.log" for index in range(layout.brokers)),
    )


def wait_ready(directory: Path, layout: Layout, pids: dict[int, int]) -> None:
    """Blocks until these brokers answer and their coordinators are loaded. Raises a kind of EmbeddedKafkaError."""

    def check_alive() -> None:
        for index, pid in pids.items():
            folder = state.broker_dir(directory, index)
            if not process.alive(pid, folder):
                how = process.ended_by(pid)
                raise BrokerFailedError(f"broker {index + 1} (pid {pid}) ended with {how}: {_last_words(folder)}")

    servers = ",".join(f"{ports.HOST}:{layout.ports[index]}" for index in pids)
    readiness.wait(servers, layout.cluster_id, len(pids), check_alive, START_TIMEOUT_SECONDS)


def _last_words(folder: Path) -> str:
    """Why a broker ended, from the end of its logs, and where to read on."""
    lines = process.log_of_this_run(folder, 64_000).decode(errors="replace").splitlines()
    with contextlib.suppress(FileNotFoundError), (folder / "stdout.log").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 64_000))
        lines += file.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if " ERROR " in line or " FATAL " in line or "Exception" in line]
    return f"{' / '.join((telling or lines)[-4:])[:1200]} (log: {folder / 'kafka.log'})"


def kill(directory: Path, index: int) -> None:
    """SIGKILL, and blocks until the process is gone. Nothing happens when it is down."""
    folder = state.broker_dir(directory, index)
    if (pid := process.pid_of(folder)) is not None:
        process.send_signal(pid, signal.SIGKILL)
        if not process.wait_gone(pid, folder, STOP_TIMEOUT_SECONDS):
            raise BrokerFailedError(f"broker {index + 1} (pid {pid}) survives SIGKILL: it hangs in the kernel")
