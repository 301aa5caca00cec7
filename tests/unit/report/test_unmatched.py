"""Events that fit no delivery are counted by app, once their receipt has had its time."""

from __future__ import annotations

import pytest

from pushcast.report import unmatched
from pushcast.report.apply import apply
from pushcast.report.slo import FRESH_MS
from pushcast.report.unmatched import WAIT_MS, Unmatched, UnmatchedEvents
from pushcast.wire import topics
from twins.books import CREATED_MS, DAY_MS, Rows, engagement, entries, receipt

LATER = CREATED_MS + WAIT_MS + 1


class Store(Rows):
    forgotten = 0

    def forgotten_until(self, user: str) -> int:
        return self.forgotten

    def tell(self, *events: tuple[str, str, str]) -> list[Unmatched]:
        """(notification, user, device) of each; what fits nothing."""
        found: list[Unmatched] = []
        first = self.meta(topics.ENGAGEMENT).offset if topics.ENGAGEMENT.encode() in b"".join(self) else 0
        told = [engagement("opened", *each, CREATED_MS, first + place) for place, each in enumerate(events)]
        self.update(
            (key, value)
            for key, value in apply(self, topics.ENGAGEMENT, told, unmatched=found).items()
            if value is not None
        )
        return found


def counting(store: Store, whole: bool = True) -> UnmatchedEvents:
    return UnmatchedEvents({0: store}, lambda _: whole)


def test_an_event_of_another_user_device_or_notification_is_counted() -> None:
    store = Store()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    found = store.tell(("n", "u", "a"), ("n", "v", "a"), ("n", "u", "b"), ("m", "u", "a"))
    events = counting(store)
    events.take(0, found, CREATED_MS)
    events.decide(CREATED_MS + WAIT_MS)
    assert events.counts == {}, "their receipts may still come"
    events.decide(LATER)
    assert events.counts == {"news": 3}


def test_an_event_before_its_receipt_is_none_of_them() -> None:
    store = Store()
    events = counting(store)
    events.take(0, store.tell(("n", "u", "a")), CREATED_MS)
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    events.decide(LATER)
    assert events.counts == {}


def test_the_same_again_says_nothing_new() -> None:
    store = Store()
    assert len(store.tell(("n", "u", "a"))) == 1
    assert store.tell(("n", "u", "a")) == []


def test_a_delivery_of_weeks_before_does_not_match() -> None:
    store = Store()
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", created_at=CREATED_MS - 20 * DAY_MS)))
    events = counting(store)
    events.take(0, store.tell(("n", "u", "a")), CREATED_MS)
    events.decide(LATER)
    assert events.counts == {"news": 1}


def test_a_store_that_is_made_anew_counts_none_of_its_history() -> None:
    store = Store()
    events = counting(store)
    events.take(0, store.tell(("n", "u", "a")), CREATED_MS + FRESH_MS + 1)
    events.decide(LATER)
    assert events.counts == {}


@pytest.mark.parametrize("place", [0, 1])
def test_a_partition_that_is_gone_or_not_whole_is_not_judged(place: int) -> None:
    store = Store()
    events = counting(store, whole=place == 1)
    events.take(place, store.tell(("n", "u", "a")), CREATED_MS)
    events.decide(LATER)
    assert events.counts == {}


def test_a_flood_takes_no_more_memory_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched, "MAX_WAITING", 3)
    store = Store()
    events = counting(store)
    events.take(0, store.tell(*((f"n-{number}", "u", "a") for number in range(10))), CREATED_MS)
    assert events.counts == {"news": 7}
    events.decide(LATER)
    assert events.counts == {"news": 10}
