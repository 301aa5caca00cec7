"""`pushcast schedule` over what the audit reads of the keeper's topic."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.audit import timers
from pushcast.audit.timers import WaitingTimer
from pushcast.cli import build, schedule
from pushcast.config.settings import Settings
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, encode_held
from pushcast.wire.waiting.timers import Timer

NOW_MS = round(time.time() * 1000)
SOON = Timer("normal", 1, NOW_MS + 86_400_000, NOW_MS, event=b'{"id": "n"}')
LATE = Timer("bulk", 2, NOW_MS - 120_000, NOW_MS)
GONE = Timer("normal", 0, NOW_MS - 500_000, NOW_MS, closed_at=NOW_MS - 400_000)


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> list[WaitingTimer]:
    held: list[WaitingTimer] = []
    monkeypatch.setattr(schedule, "connect_by_user", Settings)
    monkeypatch.setattr(timers, "timers_of", lambda _, user=None: [each for each in held if user in (None, each.user)])
    return held


def run(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(build(["schedule"]), ["schedule", *arguments, "--output", "json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.exception


def test_what_waits_is_listed_and_what_was_released_is_not(holds: list[WaitingTimer]) -> None:
    holds += [WaitingTimer("ann", "n", SOON), WaitingTimer("bob", "m", GONE)]
    code, found = run("list")
    assert (code, found["waiting"], found["overdue"]) == (0, 1, 0)
    assert [(row["user"], row["notification"], row["lane"]) for row in found["timers"]] == [("ann", "n", "normal")]


def test_what_waits_of_a_campaign_is_listed_by_its_label(holds: list[WaitingTimer]) -> None:
    def timer(event: bytes) -> Timer:
        return Timer("bulk", 1, NOW_MS + 60_000, NOW_MS, event=event)

    part = encode_held(HeldBroadcast("b-1", "ann", 7, bytes(16), "", b"", b""))
    holds += [
        WaitingTimer("ann", "n", timer(b'{"id": "n", "campaign": "xmas"}')),
        WaitingTimer("ann", "other", timer(b'{"id": "other", "campaign": "summer"}')),
        WaitingTimer("bob", "plain", timer(b'{"id": "plain"}')),
        WaitingTimer("bob", "b-1", timer(part)),
    ]
    _, found = run("list", "--campaign", "xmas")
    assert (found["waiting"], [row["notification"] for row in found["timers"]]) == (1, ["n"])
    assert run("list")[1]["waiting"] == 4


def test_a_row_that_is_overdue_fails(holds: list[WaitingTimer]) -> None:
    holds.append(WaitingTimer("ann", "n", LATE))
    code, found = run("list", "--user", "ann")
    assert (code, found["overdue"]) == (1, 1)


def test_one_is_shown_with_what_it_says_and_when_it_was_released(holds: list[WaitingTimer]) -> None:
    holds += [WaitingTimer("ann", "n", SOON), WaitingTimer("ann", "m", GONE)]
    assert run("show", "n", "--user", "ann")[1][0]["event"] == {"id": "n"}
    assert run("show", "m", "--user", "ann")[1][0]["released_at"] is not None


def test_one_that_nobody_holds_is_an_error(holds: list[WaitingTimer]) -> None:
    code, error = run("show", "n", "--user", "ann")
    assert code == 1
    assert isinstance(error, schedule.NothingScheduled)
