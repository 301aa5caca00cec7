"""How soon a thread gets a core when it has something to do, beside others that always have."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Final

#: sched_setattr(2) by machine: the C library has no call for it.
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
#: The kernel's own is some 3 ms, and it takes 0.1 to 100 ms.
SHORT_TURN_NANOSECONDS: Final = 100_000


class _Attributes(ctypes.Structure):
    """`struct sched_attr`, its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def take_short_turns(pid: int = 0) -> None:
    """Asks the kernel for short turns for every thread that the process has, and those they start. 0: this thread, and
    those that it starts: call it before there are others.

    A thread that takes short turns gets its share of the CPU as before, but gets it at once when it wakes up: it does
    not wait until others have finished turns of milliseconds. Linux 6.12 and later have it, and it needs no privilege;
    elsewhere nothing happens. The niceness of each thread stays.
    """
    number = _SCHED_SETATTR.get(os.uname().machine)
    if sys.platform != "linux" or number is None:
        return
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").glob("*")] if pid else [0]
    for thread in threads:
        with contextlib.suppress(OSError):  # it has just ended
            if os.sched_getscheduler(thread) != os.SCHED_OTHER:
                continue  # an operator has chosen how it is scheduled
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            wanted = _Attributes(ctypes.sizeof(_Attributes), os.SCHED_OTHER, 0, nice, 0, SHORT_TURN_NANOSECONDS, 0, 0)
            ctypes.CDLL(None).syscall(number, thread, ctypes.byref(wanted), 0)
