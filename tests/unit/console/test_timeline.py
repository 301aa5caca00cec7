"""A person's time axis as geometry."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.console.plots import WIDTH
from pushcast.console.timeline import ELSEWHERE, MARGIN, MAX_LINES, WAITING, Timeline, timeline
from pushcast.wire.times import rfc3339
from twins.console import device_of

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def _sent(note_id: str, minutes_ago: float, device: str = "d-1", **more: Any) -> dict[str, Any]:
    at = rfc3339(NOW_MS - round(minutes_ago * MINUTE_MS))
    found = {"notification": note_id, "app": "news", "device": device, "outcome": "accepted", "reason": None}
    return found | {"created_at": at, "ended_at": at, "received_at": None, "opened_at": None} | more


def _drawn(devices: list[Any], deliveries: list[Any], timers: list[Any], span: str = "") -> Timeline:
    found = timeline(devices, deliveries, timers, NOW_MS, span)
    assert found is not None
    return found


def _ago(minutes: float) -> str:
    return rfc3339(NOW_MS - round(minutes * MINUTE_MS))


def test_devices_deliveries_engagement_and_what_waits_share_one_axis() -> None:
    device = device_of("d-1", registered_at=_ago(5 * 24 * 60))
    opened = _sent("n-1", 30, opened_at=_ago(20))
    timer = {"notification": "n-2", "due_at": rfc3339(NOW_MS + 15 * MINUTE_MS)}
    found = _drawn([device], [opened], [timer])
    assert found.span == "hour"
    device_line, waiting = found.lines
    assert [(mark.kind, mark.says) for mark in device_line.marks] == [
        ("accepted", "n-1: accepted"),
        ("opened", "n-1: opened"),
    ]
    assert (waiting.name, [mark.kind for mark in waiting.marks]) == (WAITING, ["due"])
    places = [*(mark.at for mark in device_line.marks), found.now, waiting.marks[0].at]
    assert places == sorted(places)
    # 75 minutes of axis: half an hour ago is 30 of 75 in.
    assert places[0] == pytest.approx(WIDTH * (1 - MARGIN) * 30 / 75, abs=0.2)
    assert found.says == "1 device; in the last hour 1 delivery, 1 accepted, 1 opened, 1 to come."


def test_a_suspension_breaks_the_line_of_its_device() -> None:
    device = device_of("d-1", registered_at=_ago(50), suspended_at=_ago(10), suspended_reason="device_unregistered")
    [line] = _drawn([device], [], [], span="hour").lines
    assert [each.kind for each in line.stretches] == ["reached", "suspended"]
    assert line.stretches[0].end == line.stretches[1].begin
    assert [mark.says for mark in line.marks] == ["registered", "suspended: device unregistered"]


def test_a_device_that_was_removed_ends_there_and_one_from_before_the_axis_has_no_line() -> None:
    gone = device_of("d-1", registered_at=_ago(50), removed_at=_ago(30))
    long_gone = device_of("d-2", registered_at=_ago(5000), removed_at=_ago(4000))
    first, second = _drawn([gone, long_gone], [], [], span="hour").lines
    assert first.stretches[0].end < WIDTH * (1 - MARGIN)
    assert second.stretches == []


@pytest.mark.parametrize(
    ("minutes", "span"), [(1, "hour"), (61, "day"), (25 * 60, "week"), (8 * 24 * 60, "month"), (60 * 24 * 60, "month")]
)
def test_the_axis_is_the_shortest_that_has_all_deliveries_of_the_list(minutes: int, span: str) -> None:
    assert _drawn([], [_sent("n-1", 0.5), _sent("n-2", minutes)], []).span == span


@pytest.mark.parametrize("span", ["hour", "day", "week", "month"])
def test_a_visitor_chooses_the_span_and_no_mark_lies_beyond_the_axis(span: str) -> None:
    sent = [_sent(f"n-{minutes}", minutes) for minutes in (0, 59, 61, 1500, 12_000, 50_000)]
    found = _drawn([device_of("d-1")], sent, [], span=span)
    assert found.span == span
    marks = [mark for line in found.lines for mark in line.marks]
    assert all(0 <= mark.at <= WIDTH for mark in marks)
    limit_ms = {"hour": 1, "day": 24, "week": 168, "month": 720}[span] * HOUR_MS
    assert all(mark.at_ms >= NOW_MS - limit_ms for mark in marks)
    assert 2 <= len(found.x_ticks) <= 8


def test_a_word_that_is_no_span_is_as_none() -> None:
    assert _drawn([device_of("d-1")], [], [], span="<script>").span == "day"


def test_more_devices_than_fit_share_a_line() -> None:
    devices = [device_of(f"d-{number}") for number in range(MAX_LINES + 3)]
    found = _drawn(devices, [_sent("n-1", 5, device=f"d-{MAX_LINES + 1}")], [], span="hour")
    assert len(found.lines) == MAX_LINES + 1
    assert found.lines[-1].name == ELSEWHERE
    assert [mark.says for mark in found.lines[-1].marks] == ["n-1: accepted"]


def test_its_table_has_every_mark_the_newest_first() -> None:
    found = _drawn([device_of("d-1")], [_sent("n-1", 5), _sent("n-2", 9, outcome="dead", reason="unknown")], [])
    assert [row[2] for row in found.rows][:2] == ["n-1: accepted", "n-2: dead (unknown)"]
    assert len(found.rows) == len(found.places)


def test_nobody_has_no_axis() -> None:
    assert timeline([], [], [], NOW_MS) is None
