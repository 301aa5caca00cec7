"""Receipts on librdkafka's own broker: each once, of one user or of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pushcast.audit.receipts import counting, receipts
from pushcast.config.settings import Settings
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Receipt, encode_receipt
from twins.broker import inner_broker, write


@pytest.fixture
def settings() -> Iterator[Settings]:
    with inner_broker(topics.RECEIPT) as servers:
        yield Settings.model_validate({"kafka": {"bootstrap_servers": servers, "partitions": 1}})


def value(user: str, number: int, run: int = 0, outcome: str = "accepted") -> bytes:
    name, tail = b"%16d" % number, (200, 1, False, run, 0, number, 1, 2)
    return encode_receipt(
        Receipt(name, f"n{number}", user, "news", "d", "apns", "bulk", "default", outcome, None, "id", *tail)
    )


def read(settings: Settings, **filters: Any) -> list[tuple[str, str, int]]:
    return [(each["user"], each["notification_id"], each["run"]) for each in receipts(settings, **filters)]


def test_copies_are_left_out_and_each_run_of_a_redriven_delivery_is_kept(settings: Settings) -> None:
    broker = settings.kafka.bootstrap_servers
    write(broker, topics.RECEIPT, 0, value("u1", 1), value("u2", 2), value("u1", 1), value("u1", 1, run=1))
    assert read(settings) == [("u1", "n1", 0), ("u2", "n2", 0), ("u1", "n1", 1)]
    assert read(settings, user="u2") == [("u2", "n2", 0)]
    assert read(settings, user="nobody") == []


def test_a_run_has_the_receipt_that_counts_although_another_was_written_first() -> None:
    values = (
        value("u1", 1, outcome="dead"),
        value("u1", 1),  # a sender that was stopped wakes up: the push is on its way
        value("u2", 2),
        value("u2", 2, outcome="dead"),
        value("u2", 2, run=1, outcome="expired"),
        value("u3", 3, outcome="dead"),
        value("u3", 3, outcome="dead"),
        b"weather",
    )
    assert counting(enumerate(values)) == {1, 2, 4, 5, 7}
    assert counting(enumerate(values), "u1") == {1, 7}
