"""`pushcast broadcast` against a control topic and an intake topic in memory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from pushcast.audit.broadcasts import FoundBroadcast
from pushcast.audit.progress import Progress
from pushcast.cli import build
from pushcast.cli.broadcast_progress import Speed, account_line, live_line
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.model.words import Lane
from pushcast.wire.answers.legs import Leg
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.orders import Order
from twins.control import control_in_memory
from twins.receipts import placed

EVENT: dict[str, Any] = {
    "id": "b-1",
    "app": "news",
    "title": "Goal!",
    "audience": {"topics": ["a"]},
    "class": "breaking",
}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ControlState:
    """What the commands read and write."""
    return control_in_memory(monkeypatch, tmp_path, "apps: {news: {}}\nclasses: {breaking: {lane: urgent}}\n")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, state: ControlState) -> list[tuple[str, bytes, dict[str, Any]]]:
    """Topic, key and event of every broadcast."""
    found: list[tuple[str, bytes, dict[str, Any]]] = []

    def put_one(_: Settings, topic: str, key: bytes, value: bytes) -> int:
        found.append((topic, key, json.loads(value)))
        return len(found) - 1

    monkeypatch.setattr("pushcast.kafka.intake.put_one", put_one)
    return found


def run(*arguments: str, given: str = "") -> Any:
    return CliRunner().invoke(build(("broadcast",)), ["broadcast", *arguments], input=given, catch_exceptions=False)


def test_a_broadcast_goes_to_the_lane_of_its_class_under_its_id(written: list[Any]) -> None:
    result = run("send", "-", "--output", "json", given=json.dumps(EVENT))
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"id": "b-1", "lane": "urgent"})
    assert written == [("push.broadcast.urgent.v1", b"b-1", EVENT)]
    run("send", "-", "--lane", "bulk", given=json.dumps(EVENT))
    assert written[1][0] == "push.broadcast.bulk.v1"


def test_what_the_settler_would_refuse_is_refused_and_not_written(written: list[Any]) -> None:
    result = run("send", "-", given=json.dumps({**EVENT, "audience": {"topics": []}}))
    assert result.exit_code == 1
    assert "audience.topics has 0 entries; 1 to 20" in result.output
    assert written == []


@pytest.mark.parametrize("verb", ["send", "count"])
def test_a_file_that_is_not_there_is_told_in_one_line(verb: str, written: list[Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: No such file"):
        run(verb, str(tmp_path / "none.json"))
    assert written == []


def test_a_stop_says_who_and_when_it_may_go_and_a_hold_ends(state: ControlState) -> None:
    assert run("stop", "b-1", "--comment", "wrong score").exit_code == 0
    stopped = state.stops["b-1"]
    assert stopped.comment == "wrong score"
    assert "@" in stopped.by
    assert (stopped.remove_at or 0) > stopped.since_ms
    run("hold", "b-2")
    assert set(state.holds) == {"b-2"}
    run("resume", "b-2")
    assert state.holds == {}


@pytest.mark.parametrize("verb", ["stop", "hold"])
def test_a_stop_or_hold_with_a_long_comment_holds(state: ControlState, verb: str) -> None:
    assert run(verb, "b-1", "--comment", "why " * 200).exit_code == 0
    assert "b-1" in (state.stops if verb == "stop" else state.holds)


def test_one_stop_too_many_is_refused(state: ControlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_NAMES", 1)
    run("stop", "b-1")
    with pytest.raises(Exception, match="too_many"):
        run("stop", "b-2")
    assert run("stop", "b-1").exit_code == 0, "it is known already"


def test_fact_28_buckets_are_printed(state: ControlState) -> None:
    result = run("bucket", "--salt", "b-1", "u-1", "u-2", "--output", "json")
    assert json.loads(result.stdout) == {"u-1": 1432, "u-2": 6983}


def test_a_quick_count_asks_for_one_partition(written: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stood = Progress("b-1", "urgent", 4, {(partition, 0): 0 for partition in range(4)})
    for partition in range(4):
        planned = 250 if partition == 1 else 0
        stood.leg(partition, Leg("urgent", 0, "b-1", 0, "", "", 0, 1, apns=planned, last=True, count_only=True))
    monkeypatch.setattr("pushcast.cli.broadcast.follow", lambda *_: stood)
    found = json.loads(run("count", "-", "--quick", "--output", "json", given=json.dumps(EVENT)).stdout)
    assert (written[0][2]["count_only"], written[0][2]["quick"]) == (True, True)
    assert (found["devices"], found["exact"], found["error"]) == (1_000, False, 0.0548)


def test_progress_says_partitions_planned_accepted_rate_and_time_left() -> None:
    stood = Progress("b-1", "urgent", 1, {(0, 0): 0})
    speed = Speed()
    stood.leg(0, Leg("urgent", 0, "b-1", 0, "", "u", 0, 1, apns=90))
    speed.note(5.0, 0)
    assert live_line(stood, speed.rate()) == ("walking: 0 of 1 partitions, 90 planned so far, 0 accepted, 0 ended, 0/s")
    stood.leg(0, Leg("urgent", 0, "b-1", 1, "u", "v", 0, 1, apns=10, last=True))
    for delivery in range(50):
        stood.receipt(*placed(delivery, "accepted" if delivery else "invalid", offset=0, lane="urgent"))
    speed.note(10.0, 50)
    assert live_line(stood, speed.rate()) == (
        "done: 1 of 1 partitions, 100 planned, 49 accepted, 50 ended, 10/s, 5 s left"
    )
    assert account_line(stood) == "100 planned = 49 accepted + 1 invalid + 50 not ended"


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> list[FoundBroadcast]:
    """What was spread, oldest first."""
    spread: list[FoundBroadcast] = []

    class Books:
        def __init__(self, _: Settings) -> None: ...
        def __enter__(self) -> Books:
            return self

        def __exit__(self, *_: object) -> None: ...
        def spread(self, _: object) -> list[FoundBroadcast]:
            return spread

        def find(self, *_: object) -> FoundBroadcast:
            return spread[0]

        def follow(self, found: FoundBroadcast, *_: object) -> Progress:
            assert found is spread[0]
            return Progress("b-1", "urgent", 1, {(0, 0): 0})

    monkeypatch.setattr("pushcast.audit.broadcasts.BroadcastBooks", Books)
    return spread


def order(offset: int, reason: str | None = None) -> FoundBroadcast:
    return FoundBroadcast(
        Lane.URGENT, cast(Order, SimpleNamespace(broadcast="b-1", intake_offset=offset, reason=reason))
    )


def test_who_sends_a_broadcast_again_is_told_that_nothing_comes_of_it(
    written: list[Any], books: list[FoundBroadcast]
) -> None:
    """It ended as if the second event had been sent: with the account of the first."""
    books += [order(0), order(1, "duplicate")]
    first = run("send", "-", "--wait", "--timeout-seconds", "1", given=json.dumps(EVENT))
    assert "was sent before" not in first.stderr
    again = run("send", "-", "--wait", "--timeout-seconds", "1", given=json.dumps(EVENT))
    assert "b-1 was sent before: nothing comes of this event" in again.stderr


def test_an_event_that_is_not_taken_is_waited_for_no_longer_than_was_asked(
    written: list[Any], books: list[FoundBroadcast]
) -> None:
    """It waited for 30 s, whatever was asked, and then named a command that there is not."""
    began = time.monotonic()
    with pytest.raises(PushcastError, match="`pushcast dlq list --topic push"):
        run("send", "-", "--wait", "--timeout-seconds", "0.2", given=json.dumps(EVENT))
    assert time.monotonic() - began < 20
