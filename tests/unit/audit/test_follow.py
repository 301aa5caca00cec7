"""`send --wait`: a notification has ended when everything planned for it has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pushcast.audit import follow
from pushcast.audit.follow import FollowedNotes
from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Source
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, PlannedFacts


def planned(*rows: tuple[int, str, int], lane: str = "normal") -> Planned:
    record = Planned(lane)
    for offset, note, count in rows:
        record.add(offset, note, {"fcm": count})
    return record


def receipt(user: str, note: str, offset: int, delivery: str, partition: int = 1) -> dict[str, Any]:
    return {
        "user": user,
        "notification_id": note,
        "lane": "normal",
        "source": 0,
        "source_partition": partition,
        "source_offset": offset,
        "delivery_id": delivery,
        "run": 0,
        "outcome": "accepted",
    }


def test_it_waits_for_the_plan_and_for_every_receipt() -> None:
    followed = FollowedNotes({("ann", "n")})
    assert not followed.finished
    followed.receipt(receipt("ann", "n", 4, "x"))
    assert not followed.finished
    followed.planned(1, planned((4, "n", 2), (5, "other", 9)))
    assert not followed.finished
    followed.receipt(receipt("ann", "n", 4, "x"))
    assert not followed.finished, "a copy is no second delivery"
    followed.receipt(receipt("ann", "n", 4, "y"))
    assert followed.finished
    assert [each["delivery_id"] for each in followed.receipts] == ["x", "y"]


def test_a_repeat_of_which_nothing_was_planned_is_told_with_its_reason() -> None:
    followed = FollowedNotes({("ann", "n")})
    record = Planned("normal")
    record.add(9, "n", {}, reason="duplicate")
    followed.planned(1, record)
    assert followed.finished
    assert not followed.all_accepted
    assert followed.to_dict()["not_planned"] == {"n": "duplicate"}


def test_one_id_for_two_users_is_two_notifications() -> None:
    followed = FollowedNotes({("ann", "n"), ("bob", "n")})
    followed.planned(1, planned((4, "n", 1)))
    followed.receipt(receipt("ann", "n", 4, "x"))
    assert not followed.finished
    followed.planned(2, planned((4, "n", 1)))
    assert not followed.finished
    followed.receipt(receipt("bob", "n", 4, "y", partition=2))
    assert followed.finished


def test_what_the_keeper_holds_has_not_ended_until_it_is_let_go_and_delivered() -> None:
    followed = FollowedNotes({("ann", "n")})
    record = Planned("normal")
    record.add(4, "n", {}, reason="scheduled", facts=PlannedFacts(due_at=1_800_000_000_000, held=1))
    followed.planned(1, record)
    assert not followed.finished
    assert followed.to_dict()["held"] == {"n": "2027-01-15T08:00:00.000Z"}
    assert followed.to_dict()["held_because"] == {"n": "scheduled"}
    due = Planned("normal", source=Source.DUE)
    due.add(9, "n", {"fcm": 1})
    followed.planned(1, due)
    assert (followed.held, followed.finished) == ({}, False)
    followed.receipt(receipt("ann", "n", 9, "x") | {"source": Source.DUE})
    assert followed.finished


def test_what_is_held_again_by_its_quiet_hours_has_not_ended() -> None:
    followed = FollowedNotes({("ann", "n")})
    for source, due_at in ((Source.NOTIFICATION, 1_800_000_000_000), (Source.DUE, 1_800_000_060_000)):
        record = Planned("normal", source=source)
        record.add(4, "n", {}, facts=PlannedFacts(due_at=due_at, held=1))
        followed.planned(1, record)
    assert (followed.held, followed.finished) == ({"n": 1_800_000_060_000}, False)


def test_what_is_planned_to_nothing_has_ended() -> None:
    followed = FollowedNotes({("ann", "n")})
    followed.planned(1, planned((4, "n", 0)))
    assert followed.finished
    assert followed.receipts == []


def test_an_acceptance_is_not_taken_back_by_a_later_receipt_of_its_run() -> None:
    followed = FollowedNotes({("ann", "n")})
    followed.planned(1, planned((4, "n", 1)))
    for outcome in ("expired", "accepted", "dead"):
        followed.receipt({**receipt("ann", "n", 4, "x"), "outcome": outcome})
    assert followed.all_accepted
    followed.receipt({**receipt("ann", "n", 4, "x"), "outcome": "dead", "run": 1})
    assert [each["outcome"] for each in followed.receipts] == ["dead"]


def test_receipts_of_others_are_not_shown() -> None:
    followed = FollowedNotes({("ann", "n")})
    followed.planned(1, planned((4, "n", 1)))
    followed.receipt(receipt("zoe", "n", 9, "z"))
    followed.receipt(receipt("ann", "m", 8, "w"))
    assert not followed.finished
    followed.receipt(receipt("ann", "n", 4, "x"))
    assert [each["user"] for each in followed.receipts] == ["ann"]


def test_equal_offsets_of_two_sources_are_two_accounts() -> None:
    followed = FollowedNotes({("ann", "n")})
    record = Planned("normal", source=2)
    record.add(4, "n", {"fcm": 1})
    followed.planned(1, planned((4, "n", 1)))
    followed.planned(1, record)
    followed.receipt(receipt("ann", "n", 4, "x"))
    assert not followed.finished
    followed.receipt({**receipt("ann", "n", 4, "y"), "source": 2})
    assert (followed.finished, followed.planned_count) == (True, 2)


def test_half_of_a_stages_headers_on_a_dead_letter_do_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = SimpleNamespace(
        topic=lambda: topics.dead_letter(topics.notification(Lane.NORMAL)),
        partition=lambda: 1,
        offset=lambda: 0,
        error=lambda: None,
        key=lambda: b"ann",
        value=lambda: b'{"id": "n"}',
        headers=lambda: [(h.ORIGIN, b"plan-normal/1")],
    )
    consumer = SimpleNamespace(assign=lambda spots: None, consume=lambda most, seconds: [letter], close=lambda: None)
    monkeypatch.setattr(follow, "open_consumer", lambda *_, **__: consumer)
    monkeypatch.setattr(follow, "since", lambda *_: {})
    found = follow.follow(Settings(), {("ann", "n")}, 0, 5.0)
    assert (found.finished, len(found.to_dict()["dead_letters"])) == (True, 1)
