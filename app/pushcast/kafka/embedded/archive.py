"""Kafka's classes, loaded and linked ahead of time (JEP 483, 514), and how its hot methods behave (JEP 515): a broker
starts with less than half the CPU, and is quick sooner.

Measured on two cores, Kafka 4.3.0, Java 25: until "Kafka Server started" a broker takes 6.3 s of CPU without and 2.4 s
with the archive (78 MB). It is made once per Java and set of jars, by a broker that starts on scratch data, does for
some seconds what Pushcast asks of one, and stops (docs/decisions/0033-the-start-up-archive-learns-from-a-load.md). Java
checks that it fits and goes on without it otherwise; so do we when it cannot be made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pushcast.kafka.embedded import java, ports, process, properties, storage
from pushcast.kafka.embedded.errors import EmbeddedKafkaError

MINIMUM_JAVA = 25
#: Of what Java is taught: an archive with another number is made anew.
FORMAT = 2
#: A machine that was busy with ten other programs took 98 s.
MAKE_TIMEOUT_SECONDS = 180.0
#: What teaches Java is killed then, and the archive is made of what the broker has done so far.
LOAD_TIMEOUT_SECONDS = 15.0
#: Archives of other Javas that are kept beside.
KEPT = 3
_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
_SCRATCH = ".scratch-"

#: Asks a broker, by address and cluster id, for what Pushcast asks; says why it was cut short, None when it was not.
Load = Callable[[str, str], str | None]


def load(servers: str, cluster_id: str) -> str | None:
    """`archive_load` in a process of its own. Blocks for at most LOAD_TIMEOUT_SECONDS; never raises."""
    command = [sys.executable, "-P", "-m", "pushcast.kafka.embedded.archive_load", servers, cluster_id]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOAD_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"its load took longer than {LOAD_TIMEOUT_SECONDS:.0f} s"
    except OSError as error:
        return f"its load did not start: {error}"
    if ended.returncode == 0:
        return None
    last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return f"its load ended with {ended.returncode}: {''.join(last)}"


def options(
    executable: Path, jars: Sequence[Path], cache: Path, progress: Callable[[str], None], load: Load = load
) -> list[str]:
    """JVM options that use the archive in `cache`, which is made now if it is missing; none where there cannot be one.

    Blocks while another process makes it. Never raises for an archive that cannot be made: it says so and goes on, and
    is not tried again for the same Java and jars.
    """
    archive = cache / "startup" / f"{_key(executable, jars)}.aot"
    failed = archive.with_suffix(".failed")
    if not archive.exists() and not failed.exists() and java.version_of(executable) >= MINIMUM_JAVA:
        try:
            _make_once(executable, jars, archive, progress, load)
        except (OSError, subprocess.TimeoutExpired, EmbeddedKafkaError) as error:
            progress(f"no start-up archive, Kafka starts slower: {error}")
            if getattr(error, "errno", None) is None:  # a disk that is full today may have room tomorrow
                _try_to_remember(failed, str(error))
    return [f"-XX:AOTCache={archive}"] if archive.exists() else []


def _key(executable: Path, jars: Sequence[Path]) -> str:
    """Java refuses an archive when one of the files differs. It does not ask where its own files lie: installers link
    one copy into each virtual environment, and all of these share an archive."""
    real = executable.resolve()
    modules = real.parent.parent / "lib" / "modules"  # its classes, which a Java of a test has not
    stats = [f"{path.name} {_stamp(path)}" for path in (real, modules) if path.exists()]
    stats += [f"{path} {_stamp(path)}" for path in jars]
    stats.append(f"format {FORMAT}")
    return hashlib.sha256("\n".join(stats).encode(errors="surrogateescape")).hexdigest()[:20]


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _make_once(
    executable: Path, jars: Sequence[Path], archive: Path, progress: Callable[[str], None], load: Load
) -> None:
    archive.parent.mkdir(exist_ok=True)
    with (archive.parent / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if archive.exists():
            return
        _clear(archive.parent)
        progress("making the start-up archive of Kafka's classes and hot methods, once for this Java (about 20 s)")
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=_SCRATCH, ignore_cleanup_errors=True) as scratch:
            os.replace(_make(executable, jars, Path(scratch), progress, load), archive)
        others = sorted(archive.parent.glob("*.aot"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in others[KEPT:]:
            old.unlink()


def _clear(folder: Path) -> None:
    """What a making that was killed has left: 160 MB, and a broker that nobody else would ever end."""
    for left in folder.glob(f"{_SCRATCH}*"):
        if (pid := process.pid_of(left)) is not None:
            process.send_signal(pid, signal.SIGKILL)
            process.wait_gone(pid, left, _KILL_SECONDS)
        shutil.rmtree(left, ignore_errors=True)


def _make(executable: Path, jars: Sequence[Path], scratch: Path, progress: Callable[[str], None], load: Load) -> Path:
    """Runs a broker from start to stop, under load; Java writes what it loaded and learned when it ends. Raises OSError
    when it does not."""
    port, controller_port = ports.choose(2, random.SystemRandom())
    (scratch / "server.properties").write_text(properties.server_properties(1, [port], [controller_port]))
    (scratch / "log4j2.xml").write_text(properties.LOG4J2_XML)
    base = [
        str(executable),
        "-Xmx512m",
        "-Dlog4j2.configurationFile=log4j2.xml",
        process.mark(scratch),
        "-cp",
        os.pathsep.join(map(str, jars)),
    ]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    cluster_id = storage.new_cluster_id()
    formatting = storage.start_format(scratch, cluster_id, lambda *rest: [*base, *rest], environment)
    storage.finish_format(scratch, formatting)
    result = scratch / "kafka.aot"
    command = [*base[:1], f"-XX:AOTCacheOutput={result}", *base[1:], "kafka.Kafka", "server.properties"]
    deadline = time.monotonic() + MAKE_TIMEOUT_SECONDS
    with (
        (scratch / "stdout.log").open("wb") as output,
        subprocess.Popen(command, cwd=scratch, env=environment, stdout=output, stderr=subprocess.STDOUT) as broker,
    ):
        try:
            (scratch / "pid").write_text(str(broker.pid))
            while not ports.accepts(port, timeout_seconds=1.0):
                if broker.poll() is not None or time.monotonic() >= deadline:
                    raise OSError("the broker that was to make it did not start")
                time.sleep(_POLL_SECONDS)
            if (cut_short := load(f"{ports.HOST}:{port}", cluster_id)) is not None:
                progress(f"the start-up archive knows less than it might: {cut_short}")
            broker.terminate()
            broker.wait(max(1.0, deadline - time.monotonic()))
        finally:
            broker.kill()
    if not result.is_file():
        raise OSError("Java wrote none")
    return result


def _try_to_remember(failed: Path, reason: str) -> None:
    """A cache that is read-only, or full, cannot remember; then every start tries, fails at once, and says so."""
    with contextlib.suppress(OSError):
        failed.write_text(f"{reason}\n")
