"""Broker processes: started as daemons, found again by what is on their command line, ended by signal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pushcast.whole_files import write_whole

POLL_SECONDS = 0.02
#: How children of ours ended, by pid: a wait status as os.waitpid gives it.
_ended: dict[int, int] = {}
#: How long the log of each broker was when it was started here: it goes on with what earlier runs have written.
_logged: dict[Path, int] = {}
LOG_FILE = "kafka.log"
_MAX_PID = 0x7FFF_FFFF  # pid_t of Linux and macOS
#: Bit of the flags in /proc/<pid>/stat (linux/sched.h).
_PF_KTHREAD = 0x0020_0000
#: How HotSpot calls threads of C2; the kernel keeps 15 characters.
_SECOND_COMPILER = "C2 CompilerThre"
_LAST = 19  # the lowest niceness: nice(2)


def mark(broker_dir: Path) -> str:
    """A JVM property that no other process has: how a broker is told from a stranger with a reused pid."""
    return f"-Dpushcast.broker={broker_dir}"


def java_command(java: Path, jars: Sequence[Path], *options: str) -> list[str]:
    """A command line of `java` with its class path, without the main class."""
    return [str(java), *options, "-cp", os.pathsep.join(map(str, jars))]


def spawn(broker_dir: Path, java: Path, jars: Sequence[Path], *options: str, environment: dict[str, str]) -> int:
    """Starts the broker in its own session, so that a Ctrl-C for us is not one for it; returns its pid."""
    scratch = broker_dir / "tmp"
    scratch.mkdir(exist_ok=True)
    always = [
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dlog4j2.configurationFile=log4j2.xml",
        # zstd and snappy unpack native libraries, which a /tmp mounted noexec would refuse.
        f"-Djava.io.tmpdir={scratch}",
        mark(broker_dir),
    ]
    _logged[broker_dir] = _size(broker_dir / LOG_FILE)
    with (broker_dir / "stdout.log").open("wb") as output:
        process = subprocess.Popen(
            [*java_command(java, jars, *options, *always), "kafka.Kafka", "server.properties"],
            cwd=broker_dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        write_whole(broker_dir / "pid", b"%d\n" % process.pid)
    except BaseException:  # nobody would find it again, and it keeps its ports
        process.kill()
        process.wait()
        raise
    # It outlives us or is reaped by pid in `alive`; Popen would warn about a child that still runs.
    process.returncode = 0
    return process.pid


def log_of_this_run(broker_dir: Path, most_bytes: int) -> bytes:
    """The end of a broker's log since it was started here; of one that others started, whatever its log ends with."""
    begins = _logged.get(broker_dir, 0)
    try:
        with (broker_dir / LOG_FILE).open("rb") as file:
            ends = file.seek(0, os.SEEK_END)
            # One that is shorter by now is another file: the log was rolled.
            file.seek(max(begins if begins <= ends else 0, ends - most_bytes))
            return file.read()
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def pid_of(broker_dir: Path) -> int | None:
    """The pid of the living broker of this folder, else None; a stale pid file, or one whose number another process
    has by now, is None too."""
    try:
        pid = int((broker_dir / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    if not 0 < pid <= _MAX_PID:  # to the kernel 0 and -1 are all of our children
        return None
    return pid if alive(pid, broker_dir) else None


def alive(pid: int, broker_dir: Path) -> bool:
    """Whether `pid` is the broker of this folder and has not ended, down to its last thread: only then are its ports
    and file locks free. A dead child of ours is reaped."""
    _reap(pid)
    if sys.platform == "linux":
        return _alive_by_proc(pid, mark(broker_dir))
    ran = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f"{mark(broker_dir)} " in ran.stdout


def _alive_by_proc(pid: int, mark: str) -> bool:
    """proc(5): a killed process loses its command line first, then its files; it is a zombie while other threads end,
    and afterwards until it is reaped, which in a container may be never. The command line is empty too for an instant
    while a program takes the place of another (java starts itself again), and always for kernel threads."""
    try:
        arguments = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    run_state, flags, threads = after_name[0], int(after_name[6]), int(after_name[17])
    if run_state in "ZX" and threads <= 1:
        return False
    return mark in arguments or (arguments == [""] and not flags & _PF_KTHREAD)


def ending(pid: int) -> bool:
    """Whether a process that `alive` calls alive has lost its command line: it ends, or another program takes its place
    at this instant. Linux only; elsewhere False."""
    try:
        return sys.platform == "linux" and not Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # then another process started it, and reaps it
        reaped, wait_status = os.waitpid(pid, os.WNOHANG)
        if reaped:
            _ended[pid] = wait_status


def ended_by(pid: int) -> str:
    """`exit code 1`, `signal 9`; `a status unknown here` when another process started it."""
    _reap(pid)  # it may have ended after `alive` looked for it as a child
    if pid not in _ended:
        return "a status unknown here"
    code = os.waitstatus_to_exitcode(_ended[pid])
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def paused(pid: int) -> bool:
    """Whether every thread has stopped: SIGSTOP takes effect on each when it next runs."""
    if sys.platform != "linux":
        ran = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return ran.stdout.strip().startswith("T")
    states = set()
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # this thread has just ended
            states.add(path.read_text(errors="replace").rpartition(")")[2].split()[0])
    return states == {"T"}


def send_signal(pid: int, number: signal.Signals) -> None:
    """Like os.kill; a process that is gone is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def defer_compiling(pid: int) -> None:
    """Lets the broker's second compiler have only the CPU that nobody else wants. Linux only.

    It takes a third of a broker's CPU in its first minute, while everybody waits for the broker's answers
    (docs/decisions/0028-the-brokers-second-compiler-yields.md).
    """
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # this thread, or the broker, has just ended
            if (task / "comm").read_text().startswith(_SECOND_COMPILER):
                os.setpriority(os.PRIO_PROCESS, int(task.name), _LAST)


def wait_gone(pid: int, broker_dir: Path, timeout_seconds: float) -> bool:
    """Whether it ended in time."""
    deadline = time.monotonic() + timeout_seconds
    while alive(pid, broker_dir):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
