from __future__ import annotations

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire.headers import LEDGER, first
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Parked, Why, parked_of, parked_record
from pushcast.wire.sending.retries import APP, DOUBTFUL, LANE, PARKED_FOR, PLATFORM, SENT_FROM, Round, foreign, round_of
from unit.send.twin import message

Headers = list[tuple[str, bytes | None]]


def parked(**other: object) -> tuple[bytes, Headers]:
    fields = {
        "app": "news",
        "lane": Lane.BULK,
        "platform": Platform.APNS,
        "messages": [message(3)],
        "why": Why.BREAKER,
        "run": 0,
        "first_seen_at": 7,
        "rounds_made": 0,
        "doubtful": False,
        "sent_from": "pushcast-send-apns-bulk|41",
    }
    return parked_record(**(fields | other))  # type: ignore[arg-type]  # a test's shorthand


def test_a_parked_record_holds_the_whole_deliveries_and_says_whose_they_are() -> None:
    value, headers = parked(run=2)
    batch = decode_batch(value)
    assert (batch.lane, batch.platform, batch.messages) == ("bulk", "apns", [message(3)])
    assert (batch.run, batch.first_seen_at) == (2, 7)
    assert parked_of(headers) == Parked("news", Platform.APNS, Lane.BULK, Why.BREAKER)
    assert first(headers, SENT_FROM) == b"pushcast-send-apns-bulk|41"


def test_parking_costs_no_round_and_keeps_the_doubt() -> None:
    assert round_of(parked()[1]) == Round(0, False, 0)
    assert round_of(parked(rounds_made=3, doubtful=True, run=1)[1]) == Round(3, True, 1)


def test_headers_of_the_producer_travel_and_those_of_the_parking_do_not() -> None:
    _, headers = parked(carried=[("traceparent", b"t")])
    assert foreign(headers) == [("traceparent", b"t")]
    assert LEDGER not in dict(headers)
    assert DOUBTFUL not in dict(headers)


@pytest.mark.parametrize("name", [APP, PLATFORM, LANE, PARKED_FOR])
def test_a_record_that_says_not_whose_it_is_is_refused_by_name(name: str) -> None:
    _, headers = parked()
    with pytest.raises(InvalidInput) as caught:
        parked_of([header for header in headers if header[0] != name])
    assert (caught.value.reason, caught.value.field) == ("invalid_field", name)


@pytest.mark.parametrize("name", [PLATFORM, LANE])
def test_words_that_are_none_of_ours_are_refused(name: str) -> None:
    headers = [(key, b"smoke" if key == name else value) for key, value in parked()[1]]
    with pytest.raises(InvalidInput, match=name):
        parked_of(headers)


def test_a_cause_of_a_later_release_is_no_error() -> None:
    headers = [(key, b"weather" if key == PARKED_FOR else value) for key, value in parked()[1]]
    assert parked_of(headers) == Parked("news", Platform.APNS, Lane.BULK, None)
