"""Processes that are kept alive."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

import pytest

from pushcast.runtime.forked import Forker
from pushcast.runtime.layout import ProcessPlan
from pushcast.runtime.supervisor import (
    FIRST_DELAY_SECONDS,
    HEALTHY_AFTER_SECONDS,
    LONGEST_DELAY_SECONDS,
    USAGE_EXIT,
    Kept,
    Supervisor,
)
from pushcast.stream.errors import Flooded

PLAN = ProcessPlan("planner-urgent", ())


def test_a_process_that_dies_again_and_again_waits_longer_each_time() -> None:
    kept = Kept(PLAN)
    waits = [kept.ended(70, 1.0) for _ in range(8)]
    assert waits[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert waits[-1] == LONGEST_DELAY_SECONDS
    assert kept.due_at_seconds == 1.0 + LONGEST_DELAY_SECONDS


def test_one_that_had_lived_for_a_while_starts_again_soon() -> None:
    kept = Kept(PLAN)
    for _ in range(8):
        kept.ended(70, 1.0)
    kept.started_at_seconds = 100.0
    assert kept.ended(-9, 100.1 + HEALTHY_AFTER_SECONDS) == FIRST_DELAY_SECONDS


def test_one_that_the_flood_guard_stopped_waits_the_longest_at_once() -> None:
    assert Kept(PLAN).ended(Flooded.exit_code, 1.0) == LONGEST_DELAY_SECONDS


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

    assert Supervisor([PLAN, ProcessPlan("sender", ())], start, stop[0]).run() == USAGE_EXIT
    assert [child.exitcode for child in children] == [-signal.SIGTERM, USAGE_EXIT]


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
