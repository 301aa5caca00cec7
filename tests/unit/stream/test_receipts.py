"""One way to write a receipt: its columns are the target's, and what frequency caps count goes with it."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.batch import Message, Notes
from pushcast.model.notification import Options
from pushcast.model.words import Lane, Platform
from pushcast.stream.receipts import DeadToken, Receipts, ReceiptWriters, SentFrom, report_token
from pushcast.wire import topics
from pushcast.wire.answers.counted import ended
from pushcast.wire.answers.receipts import Receipt, TokenInvalid, decode_token_invalid, encode_receipt
from pushcast.wire.headers import LEDGER, Headers
from twins.kafka import Produced, TwinOutbox
from unit.send.twin import T0, message

SENT_FROM = SentFrom(Platform.FCM, Lane.BULK, 2, 1, 5)
OWN: Headers = [("push-origin", b"settle|5")]


def written(sent: Message, prefix: bytes | None = None, generation: int = 2) -> list[Produced]:
    """What the end of the second target of a message puts."""
    outbox = TwinOutbox()
    writer = ReceiptWriters(generation).of(SENT_FROM, sent)
    write = Receipts(outbox).writing(outbox.barrier(), 5, sent, writer, OWN, prefix)
    write(1, "rejected", "too_big", "p-1", 413, T0)
    return [put for _, put in outbox.pending]


def of_the_second(sent: Message, **label: Any) -> Receipt:
    return Receipt(
        sent.targets.delivery_id[1], "n", "u1", "news", "d1", "fcm", "bulk", "default", "rejected", "too_big", "p-1",
        413, 0, sent.options.dry_run, 2, 5, 8, T0 - 50, T0, source=1,
    )._replace(**label)  # fmt: skip


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_receipt_has_the_columns_of_its_target(dry_run: bool, generation: int) -> None:
    sent = message(3, options=Options(dry_run=dry_run))
    (put,) = written(sent, generation=generation)
    assert put == Produced(topics.RECEIPT, 5, encode_receipt(of_the_second(sent), generation), b"u1", OWN, None)


def test_a_receipt_says_the_campaign_the_variant_the_due_time_and_the_apps_version() -> None:
    sent = message(3)
    sent.notes = Notes(campaign=["spring"], variant=["b"], due_at=[T0 - 7])
    sent.targets.app_version = [None, "2.1", None]
    label = {"campaign": "spring", "variant": "b", "due_at": T0 - 7, "app_version": "2.1"}
    assert [put.value for put in written(sent)] == [encode_receipt(of_the_second(sent, **label))]


def test_a_ledger_finds_the_delivery_in_the_header_and_not_in_the_owners_headers() -> None:
    sent = message(3)
    (put,) = written(sent, prefix=b"group|7|")
    assert put.headers == [(LEDGER, b"group|7|" + sent.targets.delivery_id[1].hex().encode())]


def test_what_caps_count_is_told_before_the_receipt_for_settlers_and_senders_alike() -> None:
    sent = message(3)
    sent.counted = True
    counted, receipt = written(sent)
    told = ended("n", "news", "default", sent.targets.delivery_id[1], "rejected", "too_big", T0)
    assert (counted.topic, counted.partition, counted.value, counted.key) == (topics.COUNTED, 5, told, b"u1")
    assert receipt.topic == topics.RECEIPT


def test_messages_that_differ_in_what_their_receipts_share_have_writers_of_their_own() -> None:
    writers = ReceiptWriters()
    plain = writers.of(SENT_FROM, message())
    assert writers.of(SENT_FROM, message(2)) is plain
    others: dict[str, Any] = {"platform": "apns", "lane": "urgent", "run": 3, "source": 0, "partition": 6}
    elsewhere = [(SENT_FROM._replace(**{field: value}), message()) for field, value in others.items()]
    differing = [(SENT_FROM, message(app="chat")), (SENT_FROM, message(options=Options(dry_run=True))), *elsewhere]
    assert plain not in [writers.of(sent_from, sent) for sent_from, sent in differing]


def test_writers_of_many_apps_do_not_pile_up() -> None:
    writers = ReceiptWriters()
    first = writers.of(SENT_FROM, message())
    for number in range(1024):
        writers.of(SENT_FROM, message(app=f"app-{number}"))
    assert writers.of(SENT_FROM, message()) is not first


def test_a_dead_token_is_told_with_its_hash_and_what_the_provider_said() -> None:
    outbox, targets = TwinOutbox(), message(3).targets
    dead = DeadToken("unregistered", 410, T0 - 9, T0 - 2, T0)
    report_token(outbox, outbox.barrier(), 5, targets, 1, app="news", platform="apns", dead=dead)
    ((_, put),) = outbox.pending
    assert (put.topic, put.partition, put.key) == (topics.TOKEN_INVALID, 5, b"u1")
    assert decode_token_invalid(put.value or b"") == TokenInvalid(
        "u1", "news", "d1", "apns", targets.token_hash[1], "unregistered", 410, T0 - 9, T0 - 2, T0,
        targets.delivery_id[1].hex(),
    )  # fmt: skip
