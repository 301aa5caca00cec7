"""What the benchmarks of lanes, isolation and exactness send and how they reckon."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from pushcast.bench import campaigns, exactness, isolation, lanes
from pushcast.bench.base import Options, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest
from pushcast.bench.inexact import SWITCHED_OFF, inexact_command, without
from pushcast.bench.meter import Reading
from pushcast.bench.registry import BENCHES
from pushcast.providers.apns.message import render
from pushcast.runtime.child import child_command
from pushcast.simulators.recorder import marker_ms
from pushcast.wire.sending.batches import decode_batch


def test_the_rows_of_the_contract_are_there() -> None:
    assert {lanes.IDLE, *lanes.BACKLOG} == {"urgent/idle", "urgent/backlog", "urgent/backlog/nice"}
    assert {isolation.UNDISTURBED, isolation.OTHER_DEAD} == {"app/undisturbed", "app/other_dead"}
    assert {"lanes", "isolation", "exactness"} <= BENCHES.keys()


def test_a_backlog_is_as_many_pushes_as_asked_for_of_its_own_app() -> None:
    batches = [decode_batch(value) for value in campaigns.campaign("campaign", 1_250, 500)]
    assert [batch.target_count for batch in batches] == [500, 500, 250]
    assert {(batch.lane, batch.platform) for batch in batches} == {("bulk", "apns")}
    assert {message.app for batch in batches for message in batch.messages} == {"campaign"}
    ids = [each for batch in batches for message in batch.messages for each in message.targets.delivery_id]
    assert len(set(ids)) == 1_250


def test_both_apps_are_in_each_record_and_the_simulator_finds_its_time() -> None:
    batch = decode_batch(isolation._record(1_800_000_000_123))
    assert [(message.app, len(message.targets)) for message in batch.messages] == [("news", 50), ("chat", 50)]
    assert batch.lane == isolation.LANE
    for message in batch.messages:
        assert marker_ms(render(message, "com.example").body) == 1_800_000_000_123
    users = [set(message.targets.user) for message in batch.messages]
    assert not users[0] & users[1]


def test_processes_that_work_together_share_a_row() -> None:
    starts = [Reading(10.0, 1.0, 5), Reading(10.5, 2.0, 7)]
    ends = [Reading(14.0, 2.5, 50), Reading(14.0, 3.0, 70)]
    row = lanes._together("urgent/idle", 8, starts, ends, {"p50": 1.0, "p95": 2.0, "p99": 3.0})
    assert (row.items, row.seconds, row.cpu_seconds, row.rss_bytes) == (8, 4.0, 2.5, 120)


def test_what_is_switched_off_is_what_the_roles_are_built_with() -> None:
    for module, name, argument, _ in SWITCHED_OFF:
        assert argument in inspect.signature(getattr(module, name)).parameters
    assert "pushcast.bench.inexact" in inexact_command("run", "planner")


def test_a_switch_that_no_longer_switches_anything_is_an_error() -> None:
    def make(name: str, *, ledgers: object) -> object:
        return (name, ledgers)

    assert without(make, "ledgers", "off")("send", ledgers="exact") == ("send", "off")
    with pytest.raises(TypeError, match="ledgers"):
        without(make, "ledgers", "off")("send")


def test_off_and_on_take_turns_and_the_least_cpu_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []

    @contextmanager
    def role(_: object, *arguments: str, command: Callable[..., Sequence[str]]) -> Iterator[None]:
        started.append(command)
        yield

    monkeypatch.setattr(exactness, "role", role)
    cpu = iter([3.0, 9.0, 2.0, 8.0, 4.0, 7.0])

    def measure(_: ProcessUnderTest, name: str, number: int) -> Row:
        return Row(name, number, 1.0, next(cpu), 0)

    best = exactness._best("plan", cast(BenchCluster, None), ("planner",), measure, Options())
    assert [(row.name, row.cpu_seconds) for row in best] == [("plan/off", 2.0), ("plan/on", 7.0)]
    assert started == [inexact_command, child_command] * exactness.ROUNDS


def test_only_the_rows_that_are_asked_for_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def role(*_: Any, **__: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(exactness, "role", role)

    def measure(_: ProcessUnderTest, name: str, number: int) -> Row:
        return Row(name, number, 1.0, 1.0, 0)

    options = Options(shapes=("send/on",))
    assert [row.name for row in exactness._best("send", cast(BenchCluster, None), (), measure, options)] == ["send/on"]
