"""CPU time and memory of another process, from outside."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from pushcast.model.errors import PushcastError


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a process. Differences of two readings are what it used in between."""

    at_seconds: float  # monotonic
    cpu_seconds: float  # user and system, all threads, since its start; resolution 10 ms
    rss_bytes: int  # peak on Linux, else the present


def read(pid: int) -> Reading:
    """Raises PushcastError when the process is gone."""
    now = time.monotonic()
    try:
        if Path("/proc/self/stat").exists():
            return Reading(now, *_from_proc(pid))
        return Reading(now, *_from_ps(pid))
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise PushcastError(f"process {pid} cannot be measured: {error}") from error


def pss_bytes(pid: int) -> int:
    """What the process's memory costs the machine: its own, and its share of what it shares (proc(5), smaps_rollup).

    Where there is no such file it is the resident memory, which counts shared pages in full. Raises PushcastError.
    """
    return _said(pid, "smaps_rollup", "Pss")


def resident_bytes(pid: int) -> int:
    """Resident memory at present; `read` has its peak. Raises PushcastError."""
    return _said(pid, "status", "VmRSS")


def _said(pid: int, file: str, name: str) -> int:
    """Bytes that the kernel tells under a name, in a file of the process; without that file the resident memory."""
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise PushcastError(f"/proc/{pid}/{file} names no {name}")
    except FileNotFoundError:
        return read(pid).rss_bytes
    except OSError as error:
        raise PushcastError(f"process {pid} cannot be measured: {error}") from error


def open_files(pid: int) -> int | None:
    """Descriptors that the process has open; None where the kernel does not tell. Raises PushcastError."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd")) if Path("/proc/self/fd").exists() else None
    except OSError as error:
        raise PushcastError(f"process {pid} cannot be measured: {error}") from error


def descendants(pid: int) -> list[int]:
    """The process and all that it started, directly or not. Only itself where the kernel does not tell."""
    found = [pid]
    for known in found:
        for path in Path(f"/proc/{known}/task").glob("*/children"):
            found += map(int, path.read_text().split())
    return found


def _from_proc(pid: int) -> tuple[float, int]:
    # proc_pid_stat(5): utime and stime are fields 14 and 15, in clock ticks; the name before them may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    peak_kib = 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            peak_kib = int(line.split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), peak_kib * 1024


def _from_ps(pid: int) -> tuple[float, int]:
    out = subprocess.run(
        ["ps", "-o", "time=,rss=", "-p", str(pid)], capture_output=True, text=True, check=True, timeout=10
    )
    cpu, rss_kib = out.stdout.split()
    seconds = 0.0
    for part in cpu.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds, int(rss_kib) * 1024
