"""`python -m pushcast.runtime.child PARENT ARGUMENT…`: pushcast as a child that ends when its parent does.

However the parent ended, SIGKILL included. The demo and the supervisor start their processes this way.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # prctl(2)
#: Between two looks for the parent, where the kernel does not tell.
LOOK_SECONDS = 1.0


def child_command(*arguments: str) -> Sequence[str]:
    """Command line of a pushcast that ends with this process."""
    return [sys.executable, "-m", "pushcast.runtime.child", str(os.getpid()), *arguments]


def end_with_parent(parent: int) -> None:
    """This process gets SIGTERM when the process `parent` dies: from the kernel on Linux, elsewhere from a thread."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit(1)


def tell_supervisor(ready_fd: int | None) -> None:
    """Everything is ready: the supervisor says so to systemd once it has heard each process, and passes SIGHUP on to
    those that it has heard. None: there is no supervisor."""
    if ready_fd is not None:
        os.write(ready_fd, b"%d\n" % os.getpid())


def _watch(parent: int) -> None:
    """A process whose parent died is given to another one."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    sys.argv = ["pushcast", *sys.argv[2:]]
    # by name: runtime lies below the command line
    runpy.run_module("pushcast", run_name="__main__", alter_sys=True)
