"""The service level (doors.md A6, O4): what nobody sends is late although it has no receipt."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.words import Source
from pushcast.report.apply import BookEntry
from pushcast.report.slo import FRESH_MS, GRACE_MS, SPAN_MS, ClassEnded, ServiceLevel, Timings
from pushcast.wire import topics
from twins.books import CREATED_MS, Rows, entries, planned, receipt

MINUTE_MS = 60_000
START = 1_800_000_000_000 // SPAN_MS * SPAN_MS
DECIDED = START + SPAN_MS + 120_000 + GRACE_MS  # when the span that begins at START is over


def level() -> ServiceLevel:
    return ServiceLevel(120, START, without=("digest",))


def counts(found: ServiceLevel, klass: str = "chat") -> tuple[int, int]:
    return found.planned["news", klass], found.late["news", klass]


def end(found: ServiceLevel, klass: str, due_at: int, ended_at: int, outcome: str, sign: int) -> None:
    """A delivery has ended, or has not after all."""
    found.take([ClassEnded("news", klass, "normal", outcome, sign, [(due_at, ended_at)])], ended_at)


def test_what_is_accepted_in_time_is_planned_and_not_late() -> None:
    found = level()
    found.plan("news", "chat", START + 5, START + 6, START + 6, 2)
    end(found, "chat", START + 5, START + 120_005, "accepted", 1)
    end(found, "chat", START + 5, START + 120_006, "accepted", 1)
    found.decide(DECIDED - 1)
    assert counts(found) == (0, 0), "its time is not over"
    found.decide(DECIDED)
    assert counts(found) == (2, 1)


@pytest.mark.parametrize(
    ("outcome", "late"),
    [("invalid", 0), ("suppressed", 0), ("cancelled", 0), ("rejected", 1), ("expired", 1), ("dead", 1)],
)
def test_ends_that_are_not_the_senders_fault_are_excused(outcome: str, late: int) -> None:
    found = level()
    found.plan("news", "chat", START, START, START, 1)
    end(found, "chat", START, START + 1, outcome, 1)
    found.decide(DECIDED)
    assert counts(found) == (1, late)


def test_a_receipt_may_be_read_before_the_planned_record_and_be_taken_back() -> None:
    found = level()
    end(found, "chat", START, START + 1, "accepted", 1)
    end(found, "chat", START, START + 1, "accepted", 1)
    end(found, "chat", START, START + 1, "accepted", -1)
    found.plan("news", "chat", START, START, START, 2)
    found.decide(DECIDED)
    assert counts(found) == (2, 1)


def test_o4_without_senders_everything_is_late_soon_after_its_time() -> None:
    found = level()
    late = []
    for span in range(30):
        now = START + span * SPAN_MS
        found.plan("news", "chat", now, now, now, 100)
        found.decide(now + SPAN_MS - 1)
        late.append(found.late["news", "chat"])
    first = (120_000 + GRACE_MS) // SPAN_MS + 1
    assert late == [0] * first + [100 * number for number in range(1, 30 - first + 1)]
    assert found.planned == found.late


def test_o4_what_a_stopped_planner_plans_later_is_late_at_once() -> None:
    found = level()
    found.decide(DECIDED + 10 * MINUTE_MS)
    now = DECIDED + 10 * MINUTE_MS
    found.plan("news", "chat", START, now, now, 7)
    assert counts(found) == (7, 7)
    end(found, "chat", START, now, "accepted", 1)
    assert counts(found) == (7, 7)


def test_a_store_that_is_made_anew_counts_nothing_of_the_past() -> None:
    found = level()
    now = START + FRESH_MS + 1
    found.plan("news", "chat", START, START, now, 1000)
    end(found, "chat", START - 86_400_000, START, "expired", 1)
    found.decide(now + 10 * MINUTE_MS)
    assert counts(found) == (0, 0)


def test_receipts_of_what_was_planned_before_a_restart_make_nothing_negative() -> None:
    found = level()
    for _ in range(5):
        end(found, "chat", START, START + 1, "accepted", 1)
    found.decide(DECIDED)
    assert counts(found) == (0, 0)


def test_a_class_that_waits_on_purpose_is_not_counted() -> None:
    found = level()
    found.plan("news", "digest", START, START, START, 10)
    found.decide(DECIDED)
    assert counts(found, "digest") == (0, 0)


def test_how_long_accepted_deliveries_took_is_counted_by_lane_also_of_those_that_were_late() -> None:
    found = ServiceLevel(120, START, without=("digest",), bounds=(1, 60))
    now = START + FRESH_MS
    for klass, lane, due_at, ended_at, outcome, sign in (
        ("chat", "urgent", now - 500, now, "accepted", 1),
        ("chat", "urgent", now, now - 1, "accepted", 1),
        ("chat", "urgent", START - FRESH_MS, now, "accepted", 1),
        ("chat", "urgent", now - 500, now, "accepted", -1),
        ("chat", "urgent", now - 500, now, "dead", 1),
        ("digest", "urgent", now - 500, now, "accepted", 1),
        ("chat", "bulk", START - 2000, START - 1, "accepted", 1),
    ):
        found.take([ClassEnded("news", klass, lane, outcome, sign, [(due_at, ended_at)])], now)
    assert found.timings.counts == {"urgent": [2, 0, 1]}
    assert found.timings.seconds == {"urgent": 0.5 + 2 * FRESH_MS / 1000}


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(-10, 200_000)), max_size=30),
    st.lists(st.floats(0.001, 130), max_size=6, unique=True),
    st.sampled_from(["accepted", "suppressed", "dead"]),
)
def test_ends_that_are_told_together_count_as_each_by_itself(
    found: list[tuple[int, int]], bounds: list[float], outcome: str
) -> None:
    times = [(START + due, START + due + took) for due, took in found]
    together, single = (ServiceLevel(120, START, bounds=sorted(bounds)) for _ in range(2))
    together.take([ClassEnded("news", "chat", "bulk", outcome, 1, times)], START)
    for each in times:
        single.take([ClassEnded("news", "chat", "bulk", outcome, 1, [each])], START)
    assert together.timings.counts == single.timings.counts
    assert together.timings.seconds == pytest.approx(single.timings.seconds)
    for one in (together, single):
        for span in range(5):
            one.plan("news", "chat", START + span * SPAN_MS, START, START, len(times))
        one.decide(DECIDED + 5 * SPAN_MS)
    assert (together.planned, together.late) == (single.planned, single.late)


@given(st.integers(0, 200_000), st.lists(st.floats(0.001, 130), min_size=1, max_size=6, unique=True))
def test_a_delivery_is_in_the_first_bucket_whose_bound_it_kept(took_ms: int, bounds: list[float]) -> None:
    timings = Timings(sorted(bounds))
    timings.add("bulk", [took_ms])
    assert timings.counts["bulk"].index(1) == bisect_left(sorted(bounds), took_ms / 1000)


def test_apps_are_counted_apart_and_events_that_name_none_have_a_count_of_their_own() -> None:
    found = level()
    for app, count in (("news", 10), ("shop", 10), ("", 6)):
        found.plan(app, "chat", START, START, START, count)
    ends = [(START, START + 1)]
    for app, settled in (("news", 12), ("shop", 7), ("cafe", 1)):
        found.take([ClassEnded(app, "chat", "normal", "accepted", 1, ends * settled)], START + 1)
    found.decide(DECIDED)
    assert found.planned == {("news", "chat"): 10, ("shop", "chat"): 10, ("", "chat"): 6}
    # What news and cafe have beyond their plans, 2 and 1, is of the events that name no app.
    assert +found.late == {("shop", "chat"): 3, ("", "chat"): 3}


def test_a_plan_that_another_replaces_is_counted_once() -> None:
    found = level()
    for count in (3, -3, 2):
        found.plan("news", "chat", START, START, START, count)
    found.decide(DECIDED)
    assert counts(found) == (2, 2)


def test_the_books_say_each_delivery_once_whatever_comes_twice() -> None:
    store, found = Rows(), ServiceLevel(120, CREATED_MS)
    plan = planned((7, "n", {"apns": 2, "fcm": 1}, ""))
    for offset, value in enumerate((plan, plan, planned((7, "n", {"apns": 2}, ""), run=1))):
        found.take(store.apply(topics.PLANNED, [BookEntry(offset, value, timestamp_ms=CREATED_MS)]), CREATED_MS)
    ends = [receipt("n", "u", "a"), receipt("n", "u", "a"), receipt("n", "u", "b", "dead")]
    found.take(store.apply(topics.RECEIPT, entries(*ends)), CREATED_MS)
    found.decide(CREATED_MS + 10 * MINUTE_MS)
    assert counts(found, "breaking") == (2, 1)


def test_dry_runs_and_broadcasts_are_not_counted() -> None:
    store = Rows()
    seen = store.apply(
        topics.RECEIPT, entries(receipt("n", "u", "a", dry_run=True), receipt("b", "u", "a", source=Source.WALK))
    )
    assert seen == []
