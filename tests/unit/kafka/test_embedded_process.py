"""Broker processes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import pytest

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
