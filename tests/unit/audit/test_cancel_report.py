"""What a cancel has stopped and what was too late: C4 and D3 of reference/time.md."""

from __future__ import annotations

from typing import Any

from pushcast.audit.cancel_report import CancelReport
from pushcast.model.words import Source
from pushcast.wire.answers.receipts import Planned, PlannedFacts


def receipt(delivery: str, outcome: str, attempts: int = 0, run: int = 0) -> dict[str, Any]:
    return {"delivery_id": delivery, "outcome": outcome, "attempts": attempts, "run": run}


def planned(*rows: tuple[int, str, int, PlannedFacts], source: Source = Source.NOTIFICATION, run: int = 0) -> Planned:
    found = Planned("normal", run, source)
    for offset, note_id, deliveries, facts in rows:
        found.add(offset, note_id, {"fcm": deliveries}, facts=facts)
    return found


OURS, OTHER = PlannedFacts(campaign="xmas"), PlannedFacts(campaign="easter")


def test_c4_every_delivery_of_a_campaign_was_stopped_or_had_left_or_is_open() -> None:
    report = CancelReport()
    report.planned_of("xmas", 3, planned((0, "a", 4, OURS), (1, "b", 2, OURS), (2, "c", 9, OTHER)))
    for number, (outcome, attempts) in enumerate(
        [("cancelled", 0), ("cancelled", 1), ("accepted", 1), ("dead", 2), ("expired", 0)]
    ):
        report.receipt(receipt(f"d{number}", outcome, attempts))
    assert report.to_dict() == {
        "planned": 6,
        "cancelled": 2,
        "already_left": 2,
        "ended_before": 1,
        "open": 1,
        "waiting": 0,
    }


def test_what_the_keeper_holds_waits_until_it_is_let_go() -> None:
    report = CancelReport()
    held = OURS._replace(held=1)
    report.planned_of("xmas", 3, planned((0, "a", 0, held), (1, "b", 0, held)))
    assert report.to_dict()["waiting"] == 2
    report.planned_of("xmas", 3, planned((0, "a", 1, OURS), source=Source.DUE))
    assert (report.to_dict()["waiting"], report.to_dict()["open"]) == (1, 1)


def test_a_copy_counts_once_and_a_later_run_replaces_what_was_before() -> None:
    report = CancelReport()
    report.planned_of("xmas", 3, planned((0, "a", 1, OURS)))
    report.planned_of("xmas", 3, planned((0, "a", 1, OURS), run=1))
    report.receipt(receipt("d", "accepted", 1, run=1))
    report.receipt(receipt("d", "cancelled"))
    found = report.to_dict()
    assert (found["planned"], found["already_left"], found["cancelled"]) == (1, 1, 0)


def test_what_was_accepted_had_left_although_a_later_receipt_of_the_run_says_cancelled() -> None:
    report = CancelReport()
    report.planned_of("xmas", 3, planned((0, "a", 1, OURS)))
    report.receipt(receipt("d", "accepted", 1))
    report.receipt(receipt("d", "cancelled"))
    found = report.to_dict()
    assert (found["already_left"], found["cancelled"], found["open"]) == (1, 0, 0)
