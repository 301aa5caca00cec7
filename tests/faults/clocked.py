"""`python -m faults.clocked FILE PARENT ARGUMENT…`: a role whose wall clock is moved by what FILE says.

The seam is this program: it replaces `time.time` and `time.time_ns` before anything of the product is imported, so that
every Python clock of the role, its SystemClock among them, follows. Production has no such switch. What reads the
clock in C (librdkafka's record times, TLS) keeps the true time. FILE holds the offset as eight bytes, little-endian
signed microseconds; whoever writes it moves the running process.
"""

from __future__ import annotations

import mmap
import runpy
import struct
import sys
import time
from pathlib import Path

_OFFSET = struct.Struct("<q")


def move(path: Path, seconds: float) -> None:
    """Sets the offset for every process that runs under FILE."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(_OFFSET.pack(round(seconds * 1_000_000)))


def install(path: Path) -> None:
    """Moves this process's wall clock from now on."""
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    true_time, true_time_ns, unpack = time.time, time.time_ns, _OFFSET.unpack_from
    time.time = lambda: true_time() + unpack(view)[0] / 1_000_000
    time.time_ns = lambda: true_time_ns() + unpack(view)[0] * 1000


if __name__ == "__main__":
    install(Path(sys.argv.pop(1)))
    runpy.run_module("pushcast.runtime.child", run_name="__main__", alter_sys=True)
