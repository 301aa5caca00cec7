"""What apps tell of deliveries, joined with how those ended, in either order."""

from __future__ import annotations

import msgspec
import pytest

from pushcast.report import engaged
from pushcast.report.answers import report_of
from pushcast.report.apply import BookEntry, dropped_before
from pushcast.report.rows import DAY_MS
from pushcast.wire import topics
from twins.books import CREATED_MS, Rows, engagement, entries, receipt, walked

SECOND = 1000


def log(*records: BookEntry) -> list[BookEntry]:
    return [msgspec.structs.replace(each, offset=place) for place, each in enumerate(records)]


@pytest.mark.parametrize("first", [topics.RECEIPT, topics.ENGAGEMENT])
def test_a_delivery_that_arrived_and_was_opened_counts_once_in_either_order(first: str) -> None:
    books = {
        topics.RECEIPT: entries(receipt("n", "u", "a"), receipt("n", "u", "b")),
        topics.ENGAGEMENT: log(
            engagement("received", "n", "u", "a", CREATED_MS + 60 * SECOND),
            engagement("received", "n", "u", "a", CREATED_MS + 90 * SECOND),
            engagement("opened", "n", "u", "a", CREATED_MS + 3600 * SECOND),
            engagement("received", "n", "u", "b", CREATED_MS + 200 * SECOND),
        ),
    }
    store = Rows()
    for topic in sorted(books, key=lambda topic: topic != first):
        store.apply(topic, books[topic])
    told = report_of(store.note("n"), CREATED_MS)["engagement"]
    within = {"10": 0.0, "60": 0.5, "120": 0.5}
    assert told == {"received": 2, "received_within_seconds": within, "opened": 1}


def test_what_nobody_sent_and_what_is_no_push_counts_nowhere() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    store.apply(
        topics.ENGAGEMENT,
        log(
            engagement("opened", "n", "v", "a", CREATED_MS),
            engagement("opened", "m", "u", "a", CREATED_MS),
            engagement("read", "n", "u", "a", CREATED_MS),
            BookEntry(0, b'{"event":"clicked"}', key=b"u", timestamp_ms=CREATED_MS),
            BookEntry(0, b'{"event":"opened"}', timestamp_ms=CREATED_MS),
        ),
    )
    assert (store.note("n").received, store.note("n").opened) == (0, 0)
    assert store.meta(topics.ENGAGEMENT).unreadable == {"invalid_field": 1, "key_missing": 1}


def test_a_notification_that_says_it_is_of_the_year_9999_ends_no_reporter() -> None:
    """Every reporter of its partition ended on its receipt, again and again, once an app had told of any delivery."""
    late = 253_402_300_799_999
    store = Rows()
    store.apply(topics.ENGAGEMENT, log(engagement("opened", "n", "u", "a", CREATED_MS)))
    store.apply(topics.RECEIPT, entries(receipt("m", "u", "a", created_at=late, due_at=late, ended_at=CREATED_MS)))
    assert store.note("m").ended_count == 1


def test_a_delivery_keeps_what_was_told_when_a_redrive_or_a_broadcast_takes_its_place() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", "dead")))
    store.apply(topics.ENGAGEMENT, log(engagement("received", "n", "u", "a", CREATED_MS + 5 * SECOND)))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", run=1), first=1))
    assert (store.note("n").received, store.note("n").received_within) == (1, [1, 1, 1])
    store.apply(topics.RECEIPT, entries(receipt("m", "u", "a", "dead"), walked("m", "u", "a"), first=2))
    store.apply(topics.ENGAGEMENT, [engagement("opened", "m", "u", "a", CREATED_MS, 1)])
    assert (store.note("m", "broadcast").opened, store.note("m").opened) == (1, 0)


@pytest.mark.parametrize(("days", "counts"), [(-2, 0), (-1, 1), (8, 1), (9, 0)])
def test_an_event_belongs_to_deliveries_of_the_8_days_before_it(days: int, counts: int) -> None:
    for first in (topics.RECEIPT, topics.ENGAGEMENT):
        store = Rows()
        books = {
            topics.RECEIPT: entries(receipt("n", "u", "a")),
            topics.ENGAGEMENT: [engagement("opened", "n", "u", "a", CREATED_MS + days * DAY_MS)],
        }
        for topic in sorted(books, key=lambda topic: topic != first):
            store.apply(topic, books[topic])
        assert store.note("n").opened == counts


def test_what_was_told_goes_with_the_last_delivery_that_it_may_belong_to() -> None:
    at = 40 * engaged.BUCKET_MS
    key = engaged.told_key(at, b"u", b"d" * 16)

    def goes(created_at: int) -> bool:
        return any(start <= key < end for start, end in dropped_before(created_at))

    assert not goes(at + engaged.BUCKET_MS)
    assert goes(at + engaged.BUCKET_MS + DAY_MS)
