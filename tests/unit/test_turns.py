"""Threads that get a core at once when they wake up."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from pushcast.turns import _SCHED_SETATTR, SHORT_TURN_NANOSECONDS, _Attributes, take_short_turns

#: Prints niceness and turn of each of its threads, and of one that starts afterwards.
OWN = """
import os, sys, threading
sys.path.insert(0, {tests!r})
from unit.test_turns import turn_of
from pushcast.turns import take_short_turns

started, over = threading.Barrier(2), threading.Event()
def run():
    started.wait()
    over.wait()
os.nice(3)
before = threading.Thread(target=run)
before.start()
started.wait()
take_short_turns(os.getpid())
after = threading.Thread(target=run)
after.start()
started.wait()
found = [turn_of(thread) for thread in (0, before.native_id, after.native_id)]
over.set()
print(found)
"""


def turn_of(thread: int) -> tuple[int, int]:
    """Niceness and length of a turn, by sched_getattr(2)."""
    found = _Attributes()
    number = _SCHED_SETATTR[os.uname().machine] + 1
    assert ctypes.CDLL(None).syscall(number, thread, ctypes.byref(found), ctypes.sizeof(found), 0) == 0
    return found.nice, found.runtime


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split(".")[:2])


@pytest.mark.skipif(sys.platform != "linux" or _kernel() < (6, 12), reason="Linux has it since 6.12")
def test_all_threads_of_a_process_and_those_they_start_take_short_turns_and_stay_as_nice_as_they_were() -> None:
    tests = os.fspath(__file__).rsplit("/unit/", 1)[0]
    ran = subprocess.run([sys.executable, "-c", OWN.format(tests=tests)], capture_output=True, text=True, check=True)
    nice = os.nice(0) + 3
    assert ran.stdout.strip() == str([(nice, SHORT_TURN_NANOSECONDS)] * 3)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_a_process_that_is_gone_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    take_short_turns(process.pid)
    assert not os.path.exists(f"/proc/{process.pid}")


def test_a_machine_whose_call_is_not_known_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr("pushcast.turns._SCHED_SETATTR", {})
    take_short_turns()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.skipif(sys.platform != "linux" or _kernel() < (6, 12), reason="Linux has it since 6.12")
def test_what_an_operator_has_scheduled_otherwise_stays_so() -> None:
    code = (
        "import os; from pushcast.turns import take_short_turns;"
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)); take_short_turns();"
        "print(os.sched_getscheduler(0) == os.SCHED_BATCH)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True"
