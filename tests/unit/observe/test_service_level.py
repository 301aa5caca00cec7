"""What `pushcast slo` shows."""

from __future__ import annotations

import math

import pytest

from pushcast.observe.service_level import LevelFigures, lines, quantile

REPORTER = """pushcast_slo_planned_total{app="news",class="chat"} 600
pushcast_slo_late_total{app="news",class="chat"} 90
pushcast_slo_planned_total{app="news",class="breaking"} 100
pushcast_slo_planned_total{app="",class="breaking"} 5
pushcast_accepted_seconds_bucket{lane="urgent",le="0.5"} 50
pushcast_accepted_seconds_bucket{lane="urgent",le="1.0"} 100
pushcast_accepted_seconds_bucket{lane="urgent",le="+Inf"} 100
pushcast_canary_last_success_timestamp_seconds{app="news",platform="apns"} 1800000000
"""
SETTLER = 'pushcast_slo_unplanned_late_records{lane="normal"} %d\n'


def level(*pages: str) -> LevelFigures:
    found = LevelFigures()
    for page in pages:
        found.read(page)
    return found


def test_what_took_longer_than_is_counted_is_told_as_longer() -> None:
    assert quantile({1.0: 5.0, math.inf: 10.0}, 0.99) == math.inf
    assert quantile({1.0: 5.0, 2.0: 10.0, math.inf: 10.0}, 0.6) == 1.2


def test_reporters_add_up_and_of_what_waits_for_planners_the_largest_counts() -> None:
    found = level(REPORTER, REPORTER, SETTLER % 7, SETTLER % 5).to_dict(0.9, 120)
    assert [(row["class"], row["planned"], row["late"], row["met"]) for row in found["classes"]] == [
        ("breaking", 210, 0, True),
        ("chat", 1200, 180, False),
    ]
    assert [(row["app"], row["class"], row["planned"]) for row in found["apps"]] == [
        ("", "breaking", 10),
        ("news", "breaking", 200),
        ("news", "chat", 1200),
    ]
    assert found["lanes"] == [{"lane": "urgent", "accepted": 200, "p50_seconds": 0.5, "p99_seconds": 0.99}]
    assert (found["unplanned_late"], found["met"]) == ({"normal": 7}, False)


def test_the_target_is_met_when_every_class_meets_it_and_nothing_waits_for_a_planner() -> None:
    assert level(REPORTER, SETTLER % 0).to_dict(0.85, 120)["met"]
    assert not level(REPORTER, SETTLER % 1).to_dict(0.85, 120)["met"]
    assert level().to_dict(0.9, 120)["met"], "nothing was planned"


def test_people_read_what_is_missed_and_by_whom() -> None:
    said = "\n".join(lines(level(REPORTER, SETTLER % 7).to_dict(0.9, 120)))
    assert "news chat                 600          90     0.8500  below 0.9" in said
    assert "urgent: 100 accepted, half of them within 0.5 s, 99 % within 0.99 s" in said
    assert "normal: 7 notifications wait for a planner longer than 120 s" in said
    assert "canary of news on apns: last accepted 2027-01-15T08:00:00Z" in said


def test_a_page_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        level("pushcast_slo_planned_total{class= 7")
