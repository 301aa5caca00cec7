"""Roles as forks of their supervisor."""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.runtime import forked, start
from pushcast.runtime.forked import Forker
from pushcast.runtime.layout import ProcessPlan
from pushcast.stream.stages import stages
from pushcast.transport.folders import FolderLocks


@pytest.mark.skipif(sys.platform != "linux", reason="roles are forked on Linux only")
def test_a_role_does_not_keep_its_supervisors_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = FolderLocks([tmp_path / "run"])
    told = tmp_path / "told"

    def role(plan: ProcessPlan, *_: object) -> None:
        # The supervisor goes first; the kernel's lock lasts as long as anybody has its descriptor.
        while not (tmp_path / "supervisor-gone").exists():
            pass
        FolderLocks([tmp_path / "run"])
        told.write_text(plan.name)

    monkeypatch.setattr(forked, "run_role", role)
    process = Forker(in_child=locks.close).start(ProcessPlan("settler", ("settler",)))
    locks.close()
    (tmp_path / "supervisor-gone").touch()
    process.join(30)
    assert process.exitcode == 0
    assert told.read_text() == "settler"


@pytest.mark.skipif(sys.platform != "linux", reason="roles are forked on Linux only")
def test_a_role_has_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"

    def role(*_: object) -> int:
        told.write_text(f"{os.getsid(0) == os.getpid()}")
        return 0

    monkeypatch.setattr(start, "run", role)
    process = Forker(in_child=lambda: None).start(ProcessPlan("sender-urgent", ("sender",)))
    process.join(30)
    assert told.read_text() == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="roles are forked on Linux only")
def test_a_role_that_is_stopped_before_it_has_begun_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork has its supervisor's handler at first, which only takes note: the supervisor waited 30 s, then killed."""

    def role(*_: object) -> int:
        (tmp_path / "began").touch()
        return 0

    monkeypatch.setattr(start, "run", role)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        process = Forker(in_child=lambda: os.kill(os.getpid(), signal.SIGTERM)).start(ProcessPlan("a", ("settler",)))
        process.join(30)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert process.exitcode == -signal.SIGTERM
    assert not (tmp_path / "began").exists()
    assert not {signal.SIGTERM, signal.SIGINT} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(sys.platform != "linux", reason="roles are forked on Linux only")
def test_every_stage_is_imported_before_a_role_is_forked() -> None:
    Forker(in_child=lambda: None)
    assert {f"{stage.package}.stage" for stage in stages()} <= sys.modules.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="roles are forked on Linux only")
@pytest.mark.parametrize(
    ("error", "code"), [(ConfigurationError("refused"), 2), (PushcastError("failed"), 1), (ValueError("ours"), 1)]
)
def test_what_ends_a_role_is_the_exit_code_that_the_command_line_would_have(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def role(*_: object) -> int:
        raise error

    monkeypatch.setattr(start, "run", role)
    process = Forker(in_child=lambda: None).start(ProcessPlan("settler", ("settler",)))
    process.join(30)
    assert process.exitcode == code


def tell(_: forked.BroughtAlong, descriptor: int) -> None:
    os.write(descriptor, b"here")


def test_a_fresh_interpreter_has_the_descriptor_under_the_same_number() -> None:
    """macOS: a supervisor hears its roles by it, and passes SIGHUP on to those that it has heard."""
    readable, writable = os.pipe()
    try:
        process = SpawnProcess(target=tell, args=(forked.BroughtAlong(writable), writable))
        process.start()
        process.join(60)
        os.close(writable)
        assert os.read(readable, 100) == b"here"
    finally:
        os.close(readable)


def test_without_forks_a_supervisor_may_have_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS: the one that looks after its own parent is one."""
    started: list[str | None] = []
    monkeypatch.setattr(SpawnProcess, "start", lambda self: started.append(self.name))
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        forker = Forker(in_child=lambda: None)
    forker.start(ProcessPlan("settler", ("settler",)))
    assert started == ["settler"]
