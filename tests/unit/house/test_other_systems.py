"""Linux has names that macOS lacks: whatever is imported does without, and what is called has another way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pushcast.bench import meter
from pushcast.providers.webpush import encryptor

#: Of Python's modules: what they have on Linux and not on macOS.
LINUX_ONLY = {
    "os": (
        *("sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_setscheduler", "sched_getparam"),
        *("pidfd_open", "P_PIDFD", "memfd_create", "eventfd", "splice", "copy_file_range", "getxattr", "setxattr"),
        *("posix_fadvise", "posix_fallocate", "fdatasync", "O_DIRECT", "O_TMPFILE", "O_PATH", "pipe2", "getrandom"),
        *("setresuid", "getresuid", "preadv2", "RWF_DSYNC", "unshare", "setns"),
    ),
    "select": ("epoll", "EPOLLIN", "EPOLLET"),
    "signal": ("SIGRTMIN", "SIGRTMAX", "SIGPOLL", "SIGPWR", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"),
    "socket": (
        *("TCP_QUICKACK", "TCP_USER_TIMEOUT", "TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_KEEPIDLE", "SO_PEERCRED"),
        *("SOCK_CLOEXEC", "SOCK_NONBLOCK", "MSG_NOSIGNAL", "AF_NETLINK", "AF_PACKET", "SO_BINDTODEVICE", "SO_DOMAIN"),
    ),
    "time": ("CLOCK_BOOTTIME", "CLOCK_TAI"),
    "resource": ("prlimit", "RLIMIT_NICE", "RLIMIT_OFILE", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE"),
    "fcntl": ("F_OFD_SETLK", "F_SETPIPE_SZ", "F_ADD_SEALS"),
    "mmap": ("MAP_POPULATE", "MADV_HUGEPAGE"),
}
#: Takes the names away, then imports every module and the smallest of what is called while a process starts.
WITHOUT = """
import importlib, pkgutil, sys
for module, names in eval(sys.argv[1]).items():
    there = importlib.import_module(module)
    for name in names:
        if hasattr(there, name):
            delattr(there, name)
import pushcast
for found in pkgutil.walk_packages(pushcast.__path__, "pushcast."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
from pushcast.runtime import memory
from pushcast.stream.assignment import boottime_seconds
memory.share_pools(), memory.keep_large_apart(), memory.give_back()
assert boottime_seconds() > 0
print("all of it")
"""


def test_every_module_is_imported_without_what_linux_alone_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, repr(LINUX_ONLY)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "all of it\n", done.stderr


@pytest.mark.parametrize(("cores", "processes"), [(2, 0), (4, 2), (64, 4), (None, 0)])
def test_cores_are_counted_where_no_process_is_kept_to_some(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, processes: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert encryptor.spare_processes() == processes


def test_a_process_is_measured_by_ps_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: not str(self).startswith("/proc"))
    found = meter.read(os.getpid())
    assert found.rss_bytes > 1 << 20
    assert meter.open_files(os.getpid()) is None
