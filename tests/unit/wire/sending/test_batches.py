"""Columns of a send batch that nearly all batches are without: what they say survives every way that a batch goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from pushcast.model.batch import NO_NOTES, Message, NoteKind, Notes, ReceiptLabel, SendBatch, Targets
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Content, Options
from pushcast.model.words import Lane, Platform, Source
from pushcast.wire.schemas import FRAME_BYTES, avro_type
from pushcast.wire.sending.batches import PLAIN_TYPE, check_message, decode_batch, encode_batch
from pushcast.wire.sending.parked import Why, parked_record
from pushcast.wire.sending.retries import pick, retry_record

KINDS: list[int] = [NoteKind.NOTIFICATION, NoteKind.BROADCAST]
NOTES = Notes(["xmas-26", None], [None, "b-1"], ["a", "b"], [5, None], KINDS, [None, 'lost "one"'])


def message() -> Message:
    targets = Targets()
    for index in (0, 1, 1):
        row = (index, f"u{index}", "d", bytes(16), 0, b"a", "", b"h", 1, 40 + index, 9_000, 0)
        for column, value in zip(targets.columns(), row, strict=True):
            column.append(value)
    return Message("news", "default", Content("Goal!"), Options(), bytes(16), ["n", "m"], [1, 2], ["", ""], targets)


def full() -> Message:
    whole = message()
    targets = replace(whole.targets, not_after=[7, None, 8], app_version=[None, "7.1", "7.2"])
    return replace(whole, targets=targets, notes=NOTES, counted=True, removable=True)


def through_kafka(*messages: Message, source: int = 0) -> SendBatch:
    return decode_batch(encode_batch(SendBatch("bulk", "apns", list(messages), source=source)))


def test_every_column_comes_back() -> None:
    batch = through_kafka(full(), message(), source=Source.DUE)
    assert (batch.source, batch.messages) == (2, [full(), message()])


def test_a_batch_without_them_is_written_as_the_release_before_reads_it() -> None:
    assert encode_batch(SendBatch("bulk", "apns", [message()]))[:FRAME_BYTES] == PLAIN_TYPE.frame
    assert through_kafka(message()) == SendBatch("bulk", "apns", [message()])


@pytest.mark.parametrize(
    "change",
    [
        *(lambda m, name=name: replace(m, notes=replace(NO_NOTES, **{name: getattr(NOTES, name)}))
          for name in (field.name for field in fields(Notes))),
        lambda m: replace(m, targets=replace(m.targets, not_after=[7, None, 8])),
        lambda m: replace(m, targets=replace(m.targets, app_version=[None, None, "7.2"])),
        lambda m: replace(m, counted=True),
        lambda m: replace(m, removable=True),
        lambda m: replace(m, content=Content("Goal!", tracked=True)),
    ],
)  # fmt: skip
def test_each_of_them_alone_is_written_and_comes_back(change: Callable[[Message], Message]) -> None:
    changed = change(message())
    assert encode_batch(SendBatch("bulk", "apns", [changed]))[:FRAME_BYTES] == avro_type("send_batch").frame
    assert through_kafka(message(), changed).messages == [message(), changed]


def test_picked_targets_keep_what_is_said_of_them_and_of_their_notifications() -> None:
    part = pick(full(), [2])
    assert part.notes == Notes([None], ["b-1"], ["b"], [None], [NoteKind.BROADCAST], ['lost "one"'])
    assert (part.targets.not_after, part.targets.app_version) == ([8], ["7.2"])
    assert (part.counted, part.removable) == (True, True)
    assert part.notes.label(0) == ReceiptLabel(None, None, "b", 'lost "one"')


def test_retry_and_parked_records_carry_source_and_columns() -> None:
    shared = {"messages": [full()], "run": 0, "first_seen_at": 1, "rounds_made": 1, "doubtful": False}
    retried, _ = retry_record(
        lane="bulk",
        platform="apns",
        due_at=9,
        sent_from="g|1",
        source=Source.WALK,
        **shared,  # type: ignore[arg-type]
    )
    parked, _ = parked_record(
        app="news", lane=Lane.BULK, platform=Platform.APNS, why=Why.PAUSED, sent_from="g|1", source=Source.WALK,
        **shared,  # type: ignore[arg-type]
    )  # fmt: skip
    for value in (retried, parked):
        batch = decode_batch(value)
        assert (batch.source, batch.messages) == (Source.WALK, [full()])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (replace(message(), notes=Notes(campaign=["x"])), "notifications"),
        (replace(message(), notes=Notes(kind=[])), "notifications"),
        (replace(message(), targets=replace(message().targets, not_after=[1])), "targets"),
        (replace(message(), targets=replace(message().targets, app_version=[])), "targets"),
    ],
)
def test_columns_of_another_length_are_refused_by_name(changed: Message, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_message(changed)
    assert refused.value.field == field


def test_a_source_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        through_kafka(message(), source=4)
    assert refused.value.field == "source"
