"""The start-up archive is made once, by a Java that can, and never stands in the way."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pushcast.kafka.embedded import archive, process

#: Plays java: `-version`, StorageTool, and a broker that listens until SIGTERM and then writes its archive.
FAKE_JAVA = """#!{python}
import pathlib, re, signal, socket, sys
arguments = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(" ".join(arguments) + chr(10))
if arguments == ["-version"]:
    sys.exit('openjdk version "{version}.0.1"')
if "kafka.Kafka" in arguments:
    if {fails}:
        sys.exit("no such luck")
    port = int(re.search("PLAINTEXT://127.0.0.1:([0-9]+)", pathlib.Path("server.properties").read_text())[1])
    output = next(each.split("=")[1] for each in arguments if each.startswith("-XX:AOTCacheOutput="))
    # Waited for, not handled: a handler's signal may come just before a blocking call and be seen only after it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with socket.create_server(("127.0.0.1", port)):
        signal.sigwait([signal.SIGTERM])
    pathlib.Path(output).write_text("classes")
    sys.exit(143)
"""


class Java:
    def __init__(self, folder: Path, *, version: int = 25, fails: bool = False) -> None:
        self.path = folder / f"java-{version}"
        self._calls = folder / f"calls-{version}"
        self._calls.touch()
        text = FAKE_JAVA.format(python=sys.executable, calls=str(self._calls), version=version, fails=fails)
        self.path.write_text(text)
        self.path.chmod(0o755)

    @property
    def brokers_run(self) -> int:
        return sum("kafka.Kafka" in line for line in self._calls.read_text().splitlines())


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "kafka.jar"
    path.write_text("a jar")
    return path


def whole_load(_servers: str, _cluster_id: str) -> None:
    """One that went through."""


def options(java: Java, jar: Path, said: list[str] | None = None, load: archive.Load = whole_load) -> list[str]:
    return archive.options(java.path, [jar], jar.parent, (said if said is not None else []).append, load)


def program(path: Path, lines: str) -> str:
    """An executable in place of Python."""
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_made_once_and_used_from_then_on(tmp_path: Path, jar: Path) -> None:
    java, said = Java(tmp_path), list[str]()
    first = options(java, jar, said)
    assert len(first) == 1
    assert Path(first[0].removeprefix("-XX:AOTCache=")).read_text() == "classes"
    assert len(said) == 1
    assert options(java, jar, said) == first
    assert len(said) == 1
    assert java.brokers_run == 1
    assert [path.name for path in (tmp_path / "startup").iterdir() if "scratch" in path.name] == []


def test_two_at_once_make_it_once(tmp_path: Path, jar: Path) -> None:
    java = Java(tmp_path)
    with ThreadPoolExecutor(3) as pool:
        results = [each.result() for each in [pool.submit(options, java, jar) for _ in range(3)]]
    assert results[0]
    assert results == [results[0]] * 3
    assert java.brokers_run == 1


def test_another_jar_or_another_java_has_its_own(tmp_path: Path, jar: Path) -> None:
    java = Java(tmp_path)
    first = options(java, jar)
    jar.write_text("another jar")
    second = options(java, jar)
    assert second != first
    third = options(Java(tmp_path, version=26), jar)
    assert third not in (first, second)


def test_copies_of_one_java_in_other_folders_share_theirs(tmp_path: Path, jar: Path) -> None:
    java = Java(tmp_path)
    (tmp_path / "other").mkdir()
    other = Java(tmp_path / "other")
    shutil.copy2(java.path, other.path)
    assert options(other, jar) == options(java, jar)
    assert java.brokers_run == 1


def test_only_a_few_are_kept(tmp_path: Path, jar: Path) -> None:
    java = Java(tmp_path)
    for number in range(archive.KEPT + 2):
        jar.write_text("x" * (number + 1))
        latest = options(java, jar)
    assert len(list((tmp_path / "startup").glob("*.aot"))) == archive.KEPT
    assert Path(latest[0].removeprefix("-XX:AOTCache=")).is_file()


def test_an_older_java_does_without(tmp_path: Path, jar: Path) -> None:
    java = Java(tmp_path, version=17)
    assert options(java, jar) == []
    assert java.brokers_run == 0


def test_a_failure_is_said_once_and_is_no_failure_of_the_start(tmp_path: Path, jar: Path) -> None:
    java, said = Java(tmp_path, fails=True), list[str]()
    assert options(java, jar, said) == []
    assert "Kafka starts slower: the broker that was to make it did not start" in said[-1]
    assert options(java, jar, said) == []
    assert java.brokers_run == 1


def test_what_a_killed_making_left_is_ended_and_removed(tmp_path: Path, jar: Path) -> None:
    left = tmp_path / "startup" / ".scratch-left"
    left.mkdir(parents=True)
    program = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, process.mark(left)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as broker:
        assert broker.stdout is not None
        broker.stdout.readline()
        (left / "pid").write_text(str(broker.pid))
        assert options(Java(tmp_path), jar)
        assert not process.alive(broker.pid, left)
    assert not left.exists()


def test_a_disk_that_was_full_is_tried_again(tmp_path: Path, jar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    java, said = Java(tmp_path), list[str]()
    with monkeypatch.context() as patched:
        patched.setattr(archive, "_make", full)
        assert options(java, jar, said) == []
    assert "No space left on device" in said[-1]
    assert options(java, jar, said)


def test_a_failure_that_cannot_be_remembered_is_no_failure_of_the_start(tmp_path: Path, jar: Path) -> None:
    java, said = Java(tmp_path, fails=True), list[str]()
    (tmp_path / "startup").mkdir()
    # a link to nowhere: it is not there, and cannot be written
    (tmp_path / "startup" / f"{archive._key(java.path, [jar])}.failed").symlink_to(tmp_path / "gone" / "gone")
    assert options(java, jar, said) == []
    assert "did not start" in said[-1]


def test_java_learns_from_a_broker_under_load(tmp_path: Path, jar: Path) -> None:
    answered = list[str]()

    def load(servers: str, cluster_id: str) -> None:
        host, port = servers.split(":")
        socket.create_connection((host, int(port)), 5).close()
        answered.append(cluster_id)

    said = list[str]()
    assert options(Java(tmp_path), jar, said, load)
    assert len(answered) == 1
    assert len(said) == 1


def test_a_load_that_was_cut_short_is_said_and_its_archive_used(tmp_path: Path, jar: Path) -> None:
    said = list[str]()
    assert options(Java(tmp_path), jar, said, lambda *_: "its load took too long")
    assert said[-1] == "the start-up archive knows less than it might: its load took too long"


def test_an_archive_that_was_taught_otherwise_is_made_anew(
    tmp_path: Path, jar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = Java(tmp_path)
    first = options(java, jar)
    monkeypatch.setattr(archive, "FORMAT", archive.FORMAT + 1)
    assert options(java, jar) != first
    assert java.brokers_run == 2


def test_a_load_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LOAD_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(sys, "executable", program(tmp_path / "python", "exec sleep 600"))
    assert "took longer" in (archive.load("127.0.0.1:1", "id") or "")


def test_a_load_that_fails_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path / "python", "echo Traceback >&2; echo why >&2; exit 3"))
    assert archive.load("127.0.0.1:1", "id") == "its load ended with 3: why"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    assert (archive.load("127.0.0.1:1", "id") or "").startswith("its load did not start: ")


def test_the_load_asks_the_broker_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path / "python", f'echo "$@" > {tmp_path}/arguments'))
    assert archive.load("127.0.0.1:1", "an-id") is None
    assert (tmp_path / "arguments").read_text() == "-P -m pushcast.kafka.embedded.archive_load 127.0.0.1:1 an-id\n"
