"""What a batch carries beyond the columns of the release before."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.wire.batches import PLAIN_TYPE, decode_batch, encode_batch
from pushcast.wire.schemas import FRAME_BYTES, avro_type
from unit.providers.fields import CASES, message_of, note_of

NEWEST, PLAIN = avro_type("send_batch"), PLAIN_TYPE


def batch(*messages: Message) -> SendBatch:
    return SendBatch("normal", "apns", list(messages))


@pytest.mark.parametrize("event", CASES.values(), ids=CASES)
def test_a_sender_reads_what_the_event_said(event: dict[str, Any]) -> None:
    message = message_of(event)
    assert decode_batch(encode_batch(batch(message))) == batch(message)


def test_the_newest_schema_is_written_only_where_the_release_before_has_no_place() -> None:
    plain, rich = message_of({"title": "Goal!"}), message_of({"title": "Goal!", "link": "https://example.com"})
    assert encode_batch(batch(plain))[:FRAME_BYTES] == PLAIN.frame
    assert encode_batch(batch(plain, rich))[:FRAME_BYTES] == NEWEST.frame
    assert decode_batch(encode_batch(batch(plain, rich))) == batch(plain, rich)


def test_a_text_that_nobody_wrote_is_undecodable() -> None:
    datum = NEWEST.decode(encode_batch(batch(message_of({"title": "Goal!", "link": "https://example.com"}))))
    datum["messages"][0]["more"] = '{"actions": 5}'
    with pytest.raises(InvalidInput) as refused:
        decode_batch(NEWEST.encode(datum))
    assert refused.value.reason == "undecodable"


def test_contents_that_differ_in_one_field_have_different_batch_keys() -> None:
    keys = {name: note_of(event).content_key for name, event in CASES.items()}
    of_times = [name for name, event in CASES.items() if event.get("options", {}).keys() == {"ttl_seconds"}]
    assert {keys.pop(name) for name in of_times} == {keys["title"]}, "a time is each target's own"
    assert len(set(keys.values())) == len(keys)
