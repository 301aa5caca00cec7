"""Children that end when their parent does, told by the kernel or, where it does not tell, by a thread of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Starts a child that says its pid and waits, says so itself, and ends without a word to it.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdout=subprocess.PIPE)
sys.stdout.write(child.stdout.readline().decode())
sys.stdout.flush()
"""
CHILD = """
import os, signal, sys, time
sys.platform = sys.argv[1]
from pushcast.runtime import child
child.LOOK_SECONDS = 0.01
child.end_with_parent(os.getppid())
print(os.getpid(), flush=True)
signal.pause()
"""


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_child_gets_sigterm_when_its_parent_is_gone(platform: str) -> None:
    if platform != "darwin" and sys.platform != platform:
        pytest.skip(f"needs {platform}")
    done = subprocess.run([sys.executable, "-c", PARENT, CHILD, platform], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    while is_there(pid):
        pass


def is_there(pid: int) -> bool:
    """A process that nobody reaps yet has ended all the same."""
    told = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(told.strip()) and not told.startswith("Z")


def test_a_child_whose_parent_is_gone_already_does_not_begin() -> None:
    nobody = os.getpid()  # is not its parent's parent
    code = f"from pushcast.runtime import child; child.end_with_parent({nobody} + 1); print('began')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
