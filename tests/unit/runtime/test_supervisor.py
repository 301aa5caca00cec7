"""Processes that are kept alive."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from structlog.testing import LogCapture

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.runtime.forked import Forker
from pushcast.runtime.layout import ProcessPlan
from pushcast.runtime.preflight import problems
from pushcast.runtime.supervisor import (
    FIRST_DELAY_SECONDS,
    HEALTHY_AFTER_SECONDS,
    LONGEST_DELAY_SECONDS,
    USAGE_EXIT,
    KeptProcess,
    Supervisor,
    supervise,
)
from pushcast.simulators import PLATFORMS
from pushcast.simulators import start as start_simulator
from pushcast.simulators.configuration import write_into
from pushcast.stream.errors import Flooded

PLAN = ProcessPlan("planner-urgent", ("planner",))


def test_a_process_that_dies_again_and_again_waits_longer_each_time() -> None:
    kept = KeptProcess(PLAN)
    waits = [kept.ended(70, 1.0) for _ in range(8)]
    assert waits[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert waits[-1] == LONGEST_DELAY_SECONDS
    assert kept.due_at_seconds == 1.0 + LONGEST_DELAY_SECONDS


def test_one_that_had_lived_for_a_while_starts_again_soon() -> None:
    kept = KeptProcess(PLAN)
    for _ in range(8):
        kept.ended(70, 1.0)
    kept.started_at_seconds = 100.0
    assert kept.ended(-9, 100.1 + HEALTHY_AFTER_SECONDS) == FIRST_DELAY_SECONDS


def test_one_that_the_flood_guard_stopped_waits_the_longest_at_once() -> None:
    assert KeptProcess(PLAN).ended(Flooded.exit_code, 1.0) == LONGEST_DELAY_SECONDS


@pytest.fixture
def stop() -> Iterator[tuple[int, Callable[[], None]]]:
    readable, writable = os.pipe()

    def write() -> None:
        os.write(writable, b"\x0f")

    yield readable, write
    os.close(readable)
    os.close(writable)


def until_terminated() -> None:
    signal.pause()


def refuse() -> None:
    raise SystemExit(USAGE_EXIT)


def started(target: Callable[[], None]) -> BaseProcess:
    process = get_context("fork").Process(target=target)
    process.start()
    return process


def test_a_stop_ends_every_process(stop: tuple[int, Callable[[], None]]) -> None:
    children: list[BaseProcess] = []

    def start(_: ProcessPlan) -> BaseProcess:
        children.append(started(until_terminated))
        if len(children) == 2:
            stop[1]()
        return children[-1]

    assert Supervisor([PLAN, PLAN], start, stop[0]).run() == 0
    assert [child.exitcode for child in children] == [-signal.SIGTERM] * 2


def test_one_that_refuses_its_configuration_ends_all(stop: tuple[int, Callable[[], None]]) -> None:
    children: list[BaseProcess] = []

    def start(plan: ProcessPlan) -> BaseProcess:
        children.append(started(refuse if plan.name == "sender" else until_terminated))
        return children[-1]

    assert Supervisor([PLAN, ProcessPlan("sender", ("sender",))], start, stop[0]).run() == USAGE_EXIT
    assert [child.exitcode for child in children] == [-signal.SIGTERM, USAGE_EXIT]


def test_one_that_had_worked_and_is_refused_when_it_starts_again_ends_no_other(
    stop: tuple[int, Callable[[], None]], capture: LogCapture
) -> None:
    """A file that was edited wrongly, or a key that is gone: the running roles go on without it, one that dies then is
    refused. It ended all of them, with the code that keeps systemd from starting them again."""
    readable, writable = os.pipe()
    children: list[BaseProcess] = []

    def start(plan: ProcessPlan) -> BaseProcess:
        child = started(refuse if len(children) == 2 else until_terminated)
        children.append(child)
        if len(children) < 3:
            os.write(writable, b"%d\n" % (child.pid or 0))
        return child

    def die_then_stop() -> None:
        while len(children) < 2:
            time.sleep(0.01)
        time.sleep(0.2)  # until it has been heard
        children[0].kill()
        while not any(entry["event"] == "role_refused_configuration" for entry in capture.entries):
            time.sleep(0.01)
        time.sleep(0.2)
        stop[1]()

    steps = threading.Thread(target=die_then_stop)
    steps.start()
    assert Supervisor([PLAN, ProcessPlan("sender", ("sender",))], start, stop[0], readable).run() == 0
    steps.join()
    assert [child.exitcode for child in children] == [-signal.SIGKILL, -signal.SIGTERM, USAGE_EXIT]
    assert KeptProcess(PLAN).ended(USAGE_EXIT, 1.0) == LONGEST_DELAY_SECONDS
    os.close(readable)
    os.close(writable)


def test_one_that_dies_is_started_again(stop: tuple[int, Callable[[], None]]) -> None:
    children: list[BaseProcess] = []

    def start(_: ProcessPlan) -> BaseProcess:
        children.append(started(until_terminated))
        if len(children) == 1:
            children[0].kill()
        else:
            stop[1]()
        return children[-1]

    assert Supervisor([PLAN], start, stop[0]).run() == 0
    assert [child.exitcode for child in children] == [-signal.SIGKILL, -signal.SIGTERM]


def test_one_that_the_system_cannot_fork_is_tried_again_and_the_others_go_on(
    stop: tuple[int, Callable[[], None]], capture: LogCapture
) -> None:
    """A machine short of memory: the supervisor ended with a traceback, and waited for its children for ever."""
    children: list[BaseProcess] = []
    asked: list[str] = []

    def start(plan: ProcessPlan) -> BaseProcess:
        asked.append(plan.name)
        if asked == ["planner-urgent", "sender"]:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if len(asked) == 3:
            stop[1]()
        children.append(started(until_terminated))
        return children[-1]

    assert Supervisor([PLAN, ProcessPlan("sender", ("sender",))], start, stop[0]).run() == 0
    assert asked == ["planner-urgent", "sender", "sender"]
    assert [child.exitcode for child in children] == [-signal.SIGTERM] * 2
    [told] = [entry for entry in capture.entries if entry["event"] == "role_not_started"]
    assert (told["process"], told["again_in_seconds"]) == ("sender", FIRST_DELAY_SECONDS)


def test_an_unexpected_error_of_the_supervisor_ends_its_children(stop: tuple[int, Callable[[], None]]) -> None:
    """Python waits at its end for every child: they would work on, and nobody would start them again."""
    children: list[BaseProcess] = []

    def start(_: ProcessPlan) -> BaseProcess:
        if children:
            raise RuntimeError("cannot be forked from a process with threads")
        children.append(started(until_terminated))
        return children[-1]

    with pytest.raises(RuntimeError, match="with threads"):
        Supervisor([PLAN, PLAN], start, stop[0]).run()
    assert [child.exitcode for child in children] == [-signal.SIGTERM]


def test_it_says_once_that_all_are_ready_and_again_after_one_was_started_again(
    stop: tuple[int, Callable[[], None]], capture: LogCapture
) -> None:
    """faults.md P3-22: a terminal told a hundred things and not that everything was ready."""
    readable, writable = os.pipe()
    children: list[BaseProcess] = []

    def start(plan: ProcessPlan) -> BaseProcess:
        child = started(until_terminated)
        children.append(child)
        os.write(writable, b"%d\n" % (child.pid or 0))
        if len(children) == 2:
            children[0].kill()
        if len(children) == 3:
            stop[1]()
        return child

    Supervisor([PLAN, ProcessPlan("sender", ("sender",))], start, stop[0], readable).run()
    said = [entry for entry in capture.entries if entry["event"] == "all_ready"]
    assert [entry["processes"] for entry in said] in ([2], [2, 2]), "a stop may come before the second"
    os.close(readable)
    os.close(writable)


def until_hung_up() -> None:
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    os.write(READY[1], b"%d\n" % os.getpid())
    try:
        signal.pause()
    except KeyboardInterrupt:
        os._exit(7)


READY = os.pipe()


def test_a_hangup_is_passed_on_to_those_that_are_ready_and_ends_nothing() -> None:
    """doors.md O1: `kill -HUP` of `run all` reaches every role."""
    readable, writable = os.pipe()
    children: list[BaseProcess] = []

    def start(_: ProcessPlan) -> BaseProcess:
        if children:
            os.write(writable, bytes([signal.SIGTERM]))
            return started(until_terminated)
        children.append(started(until_hung_up))
        os.set_blocking(READY[0], True)
        told = os.read(READY[0], 100)
        os.write(READY[1], told)
        return children[0]

    supervisor = Supervisor([PLAN], start, readable, READY[0])
    hangup = threading.Timer(0.2, os.write, (writable, bytes([signal.SIGHUP])))
    hangup.start()
    assert supervisor.run() == 0
    hangup.join()
    assert children[0].exitcode == 7
    os.close(readable)
    os.close(writable)


@pytest.fixture
def capture() -> Iterator[LogCapture]:
    found = LogCapture()
    structlog.configure(processors=[found])
    yield found
    structlog.reset_defaults()


def test_every_fault_of_the_configuration_is_named_before_a_role_starts(tmp_path: Path) -> None:
    apps = {"news": {"expo": {"endpoint": "http://a"}}, "chat": {"expo": {"endpoint": "http://b"}}}
    settings = Settings.model_validate({"apps": apps, "data_dir": str(tmp_path / "data")})
    with pytest.raises(ConfigurationError, match=r"(?s)apps\.news\.expo.*apps\.chat\.expo"):
        supervise(settings, [PLAN])
    assert not (tmp_path / "data").exists()


def test_several_processes_on_one_port_are_refused_before_one_starts(tmp_path: Path) -> None:
    """The image sets a port: every process but one ended with a traceback, and was started again, for ever."""
    settings = Settings.model_validate({"observe": {"port": 9464}, "data_dir": str(tmp_path / "data")})
    with pytest.raises(ConfigurationError, match=r"observe\.port: 9464 is one port, and `run all` starts 2 processes"):
        supervise(settings, [PLAN, ProcessPlan("gateway", ("gateway",))])
    assert not (tmp_path / "data").exists()


def test_looking_for_faults_starts_no_thread(tmp_path: Path) -> None:
    """A process with threads cannot fork its roles."""
    for platform in PLATFORMS:
        line = asyncio.run(_describe(platform, tmp_path / platform))
        write_into(tmp_path / "pushcast.yaml", line)
    before = threading.active_count()
    tree = yaml.safe_load((tmp_path / "pushcast.yaml").read_text())
    assert problems(Settings.model_validate({**tree, "data_dir": str(tmp_path)})) == []
    assert threading.active_count() == before


async def _describe(platform: str, folder: Path) -> dict[str, Any]:
    async with start_simulator(platform, work_dir=folder) as simulator:
        return simulator.describe()


def test_nothing_is_forked_from_a_process_with_threads() -> None:
    forker = Forker(in_child=lambda: None)
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="planner-urgent cannot be forked"):
            forker.start(PLAN)
    finally:
        go_on.set()
        thread.join()
