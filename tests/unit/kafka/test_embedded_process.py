"""Broker processes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pushcast.kafka.embedded import members, process
from pushcast.kafka.embedded.process import defer_compiling, ending

PR_SET_NAME = 15


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_the_second_compiler_yields_to_every_other_thread_of_its_broker() -> None:
    over = threading.Event()
    started = threading.Barrier(3)
    found: dict[str, int] = {}

    def run(name: str) -> None:
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
        started.wait(10)
        over.wait(10)
        found[name] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    names = ("C2 CompilerThread0", "C1 CompilerThread0")
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    started.wait(10)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    defer_compiling(os.getpid())
    over.set()
    for thread in threads:
        thread.join(10)
    assert found == {"C2 CompilerThread0": 19, "C1 CompilerThread0": own}
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc")
def test_a_process_that_has_lost_its_command_line_is_ending() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        assert ending(process.pid)
    assert not ending(process.pid), "it is gone"
    assert not ending(os.getpid())


def java(folder: Path, lines: str) -> Path:
    """Plays java."""
    path = folder / "java"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


def test_a_broker_whose_pid_cannot_be_written_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"

    def disk_is_full(path: Path, content: bytes) -> None:
        while not started.exists() or not started.read_text():
            time.sleep(0.01)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(process, "write_whole", disk_is_full)
    sleeps = java(tmp_path, f"echo $$ > {started}; exec sleep 600")
    with pytest.raises(OSError, match="No space left"):
        process.spawn(tmp_path, sleeps, [], environment={"PATH": os.environ["PATH"]})
    assert not Path(f"/proc/{started.read_text().strip()}").exists()


def test_why_a_broker_ended_is_told_from_this_run_alone(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("2026-01-01 ERROR last month: Address already in use\n")
    pid = process.spawn(tmp_path, java(tmp_path, "echo no memory for a JVM; exit 1"), [], environment={})
    assert process.wait_gone(pid, tmp_path, timeout_seconds=10)
    assert members._last_words(tmp_path).startswith("no memory for a JVM (log: ")
    with log.open("a") as file:
        file.write("2026-02-02 ERROR today\n")
    assert members._last_words(tmp_path).startswith("2026-02-02 ERROR today (log: ")
    log.write_text("ERROR rolled: ERROR today\n"[:20])
    assert process.log_of_this_run(tmp_path, 1000) == b"ERROR rolled: ERROR "
