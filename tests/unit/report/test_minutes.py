"""What became due in each minute: sums of classes, also of those whose notes and deliveries are not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Source
from pushcast.report import rows
from pushcast.report.apply import apply, sums_dropped_before
from pushcast.report.minutes import MinutePlace, MinuteSums, row_of, summed
from pushcast.report.modes import Modes
from pushcast.report.store import PartitionStore
from pushcast.report.totals import MAX_STEPS, check_span, totals_of
from pushcast.wire import topics
from twins.books import CREATED_MS, DAY_MS, Rows, entries, leg, planned, receipt, walked

MINUTE = CREATED_MS // rows.MINUTE_MS
APNS = MinutePlace(MINUTE, "news", "breaking", "apns", "normal")


def minutes(store: Rows) -> dict[MinutePlace, MinuteSums]:
    return dict(row_of(key, value) for key, value in store.items() if key[:1] == rows.MINUTE)


def test_a_minute_has_what_was_due_in_it_and_how_that_ended() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2, "fcm": 1}, ""))))
    store.apply(
        topics.RECEIPT, entries(receipt("n", "u", "a"), receipt("n", "u", "b", "dead", ended_at=CREATED_MS * 2))
    )
    found = minutes(store)
    assert found[APNS].planned == 2
    assert found[APNS].ended == {"accepted": 1, "dead": 1}
    assert sum(found[APNS].latency.values()) == 1
    assert found[APNS._replace(platform="fcm")] == MinuteSums(1, open=1, expires_at=CREATED_MS + DAY_MS)


def test_copies_and_later_runs_move_what_they_replace() -> None:
    store = Rows()
    first, later = planned((7, "n", {"apns": 2}, "")), planned((7, "n", {"apns": 1}, ""), run=1)
    store.apply(topics.PLANNED, entries(first, first, later, first))
    ends = [receipt("n", "u", "a", "dead"), receipt("n", "u", "a", "dead"), receipt("n", "u", "a", run=1)]
    store.apply(topics.RECEIPT, entries(*ends))
    assert (minutes(store)[APNS].planned, minutes(store)[APNS].ended) == (1, {"accepted": 1})


def test_a_minute_of_which_everything_was_taken_back_is_not_told() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""))))
    store.apply(topics.PLANNED, entries(planned((7, "n", {}, ""), run=1), first=1))
    assert totals_of(minutes(store)) == []
    assert not any(minutes(store).values())


def test_dry_runs_and_canaries_are_in_no_minute_and_broadcasts_are() -> None:
    store = Rows()
    unseen = [receipt("n", "u", "a", dry_run=True), receipt("canary-news-apns-7", "u", "a")]
    store.apply(topics.RECEIPT, entries(*unseen, walked("b", "u", "a")))
    store.apply(topics.WALKED, entries(leg("b", 0, 5)))
    assert {place.lane for place in minutes(store)} == {"bulk"}
    assert sum(each.planned for each in minutes(store).values()) == 5
    assert sum(each.ended.get("accepted", 0) for each in minutes(store).values()) == 1


def test_a_class_with_totals_has_minutes_and_neither_deliveries_nor_sums_of_notes() -> None:
    store = Rows()
    modes = Modes(totals=frozenset({"breaking"}))
    books = {
        topics.PLANNED: entries(planned((7, "n", {"apns": 2}, ""))),
        topics.RECEIPT: entries(receipt("n", "u", "a"), receipt("n", "u", "b"), walked("n", "v", "a")),
    }
    for topic, log in books.items():
        store.update((key, value) for key, value in apply(store, topic, log, modes).items() if value is not None)
    latency = minutes(store)[APNS].latency
    assert minutes(store)[APNS] == MinuteSums(2, {"accepted": 2}, latency, expires_at=CREATED_MS + DAY_MS)
    assert [key for key in store if key[:1] in (rows.NOTE, rows.LIST)] == []
    assert [row.kind for row in map(rows.delivery_of, (store[key] for key in store if key[:1] == rows.DELIVERY))] == [
        "broadcast"
    ]
    assert store.note("n", "broadcast").ended_count == 1


def test_totals_are_added_up_over_partitions_and_longer_times() -> None:
    one = MinuteSums(2, {"accepted": 1}, {"40": 1})
    other = MinuteSums(1, {"dead": 1, "accepted": 1}, {"40": 1})
    found = summed([(APNS, one), (APNS, other), (APNS._replace(minute=MINUTE + 60), one)], 60)
    hours = totals_of(found, klass="breaking")
    assert [(row["planned"], row["outcomes"]["accepted"], row["outcomes"]["dead"]) for row in hours] == [
        (3, 2, 1),
        (2, 1, 0),
    ]
    assert hours[0]["latency_ms"]["p50"] == pytest.approx(32.7, 0.05)
    assert totals_of(found, app="other") == totals_of(found, klass="other") == []


def test_more_points_of_time_than_an_answer_holds_are_refused() -> None:
    check_span(0, MAX_STEPS * 5, 5)
    with pytest.raises(InvalidInput, match="longer"):
        check_span(0, MAX_STEPS * 5 + 1, 5)


def test_sums_go_when_their_time_is_over(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {})
    late = CREATED_MS + 100 * DAY_MS
    store.apply(
        topics.PLANNED,
        entries(planned((7, "old", {"apns": 2}, "")), planned((8, "new", {"apns": 2}, ""), created_at=late)),
    )
    store.apply(topics.RECEIPT, entries(receipt("old", "u", "a"), receipt("new", "u", "a", created_at=late)))
    assert len(list(store.minutes(0, 2**31))) == 2
    store.drop_before(CREATED_MS, late)
    assert [place.minute for place, _ in store.minutes(0, 2**31)] == [late // rows.MINUTE_MS]
    assert [note.id for note in store.listed(0, 2**31, None, 9)] == ["new"]
    assert store.note("notification", "old") is None
    store.close()


def test_a_released_notification_is_due_in_the_minute_of_its_release() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {}, "scheduled"), held=1)))
    assert minutes(store) == {}
    store.apply(topics.PLANNED, entries(planned((0, "n", {"apns": 1}, ""), source=Source.DUE), first=1))
    assert minutes(store)[APNS].planned == 1


def test_what_is_dropped_of_sums_is_older_than_asked() -> None:
    at = CREATED_MS // rows.MINUTE_MS * rows.MINUTE_MS
    ranges = list(sums_dropped_before(at))

    def goes(key: bytes) -> bool:
        return any(start <= key < end for start, end in ranges)

    before, now = at - 1, at
    assert goes(rows.minute_key(before // rows.MINUTE_MS, "a", "b", "c", "d"))
    assert goes(rows.list_key(before, b"x" * 16))
    assert not goes(rows.minute_key(now // rows.MINUTE_MS, "a", "b", "c", "d"))
    assert not goes(rows.list_key(now, b"x" * 16))
