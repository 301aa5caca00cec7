"""What a report says of the service level: counted from what was planned, so that a stall is late, too."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.report.answers import report_of
from pushcast.report.goal import Goal, goal_of, slo_of
from pushcast.report.notes import Note, ended_key
from pushcast.report.sketch import bucket_name

START_MS = 1_790_000_000_000
SOON, LATER = START_MS + 60_000, START_MS + 120_001


def note(accepted: int = 0, in_time: int | None = None, planned: int = 100, **ended: int) -> Note:
    counts = {ended_key("apns", outcome, None): count for outcome, count in {"accepted": accepted, **ended}.items()}
    within = [0, 0, accepted if in_time is None else in_time]
    return Note(
        "n", "notification", "news", "breaking", created_at=START_MS, first_planned_at=START_MS,
        planned={"apns": planned}, ended={key: count for key, count in counts.items() if count}, within=within,
    )  # fmt: skip


def judged(of: Note, now_ms: int = LATER, **goal: Any) -> Any:
    said = slo_of(of, Goal(**goal), now_ms)
    return None if said is None else (said["share"], said["met"])


def test_the_share_is_of_what_could_be_delivered() -> None:
    assert judged(note(accepted=91, rejected=9)) == (0.91, True)
    assert judged(note(accepted=89, rejected=11)) == (0.89, False)
    assert judged(note(accepted=50, invalid=40, suppressed=5, cancelled=5)) == (1.0, True)
    assert judged(note(accepted=100, in_time=80)) == (0.8, False)


def test_what_is_open_is_late_once_the_time_has_gone() -> None:
    assert judged(note(accepted=80), SOON) == (1.0, None), "the rest may still come in time"
    assert judged(note(accepted=80), LATER) == (0.8, False)
    assert judged(note(), LATER) == (0.0, False), "stopped senders: nothing has ended, and all of it is late"


def test_nothing_to_deliver_is_neither_met_nor_missed() -> None:
    assert judged(note(planned=0)) == (None, None)
    assert judged(note(invalid=100)) == (None, None)
    assert judged(note(), SOON) == (None, None)


@pytest.mark.parametrize("more", [{"dry_run": True}, {"id": "canary-news-apns-7"}, {"klass": "digest"}])
def test_what_waits_on_purpose_or_goes_to_nobody_is_not_judged(more: dict[str, Any]) -> None:
    of = note(accepted=100)
    for name, value in more.items():
        setattr(of, name, value)
    assert judged(of, without=frozenset({"digest"})) is None


def test_other_times_than_those_that_are_counted_come_from_the_histogram() -> None:
    of = note(accepted=100)
    of.latency = {bucket_name(20_000): 60, bucket_name(40_000): 40}
    assert judged(of, within_seconds=30) == (0.6, False)


def test_a_report_holds_it_against_the_configuration() -> None:
    settings = Settings.model_validate(
        {"slo": {"within_seconds": 60, "target": 0.5}, "classes": {"slow": {"lane": "bulk", "window_seconds": 90}}}
    )
    assert goal_of(settings) == Goal(60, 0.5, frozenset({"slow"}))
    of = note(accepted=100)
    of.within = [10, 70, 90]
    said = report_of(of, LATER, goal=goal_of(settings), as_of=SOON)
    assert said["slo"] == {"within_seconds": 60, "share": 0.7, "target": 0.5, "met": True}
    assert (said["audience"], report_of(note(planned=60_000), LATER)["audience"]) == ("S", "L")
    assert (said["as_of"], report_of(of, LATER)["slo"]["met"]) == ("2026-09-21T14:14:20.000Z", True)
