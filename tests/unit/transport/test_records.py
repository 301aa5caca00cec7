"""Header names that are not UTF-8, in every codec, among records that are."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError, FetchResult
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from pushcast.transport.records import KeptRecords, TolerantRecords, fetched_bytes

TP = TopicPartition("events", 3)
NAME = "x-gr\xf6sse-and-more"
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)


def batch(first: int, count: int, codec: int = NONE, producer_id: int = -1, transactional: bool = False) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, int(transactional), producer_id, 0, 0, 1 << 20)
    for number in range(count):
        headers = [(NAME, b"1"), ("good", None)]
        builder.append(number, 1_000 + number, b"key", b"value %d" % (first + number), headers)
    data = bytearray(builder.build())
    data[0:8] = first.to_bytes(8, "big")
    return bytes(data)


def odd(data: bytes) -> bytes:
    """The name in Latin-1, one byte shorter: its second byte of the letter becomes another one."""
    assert NAME.encode() in data
    return data.replace("\xf6".encode(), b"\xf6o")


def read(data: bytes, at: int = 0, aborted: Any = None) -> list[Any]:
    return list(TolerantRecords(TP, KeptRecords(data), aborted, at, None, None, False, READ_COMMITTED))


def test_a_name_in_latin_1_is_read_with_a_replacement_and_its_place_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    found = read(batch(0, 2) + odd(batch(2, 3)) + batch(5, 1))
    assert [each.offset for each in found] == [0, 1, 2, 3, 4, 5]
    assert [each.value for each in found] == [b"value %d" % number for number in range(6)]
    assert found[0].headers == ((NAME, b"1"), ("good", None))
    assert found[2].headers == (("x-gr\N{REPLACEMENT CHARACTER}osse-and-more", b"1"), ("good", None))
    assert found[5].headers == found[0].headers
    assert "events[3]" in caplog.text
    assert "offset 2" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize("odd_one", range(4))
@pytest.mark.parametrize("at", range(2))  # a broker answers from the batch that holds the position
def test_records_of_batches_before_the_odd_one_are_handed_out_once(odd_one: int, at: int) -> None:
    batches = [batch(2 * number, 2) for number in range(4)]
    batches[odd_one] = odd(batches[odd_one])
    assert [each.offset for each in read(b"".join(batches), at)] == list(range(at, 8))


@pytest.mark.parametrize("at", [0, 2, 3, 4])
def test_records_below_the_position_are_passed_over(at: int) -> None:
    assert [each.offset for each in read(odd(batch(0, 5)), at)] == list(range(at, 5))


def test_good_records_are_read_as_by_aiokafka() -> None:
    found = read(batch(7, 3, GZIP), 7)
    assert [(each.offset, each.timestamp, each.key) for each in found] == [
        (7, 1_000, b"key"),
        (8, 1_001, b"key"),
        (9, 1_002, b"key"),
    ]


def test_an_aborted_transaction_stays_aborted_when_it_is_read_once_more() -> None:
    data = odd(batch(0, 1)) + batch(1, 2, producer_id=9, transactional=True) + odd(batch(3, 1))
    assert [each.offset for each in read(data, aborted=[(9, 1)])] == [0, 3]


def test_names_of_a_compressed_batch_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    plain = odd(batch(0, 3))
    squeezed = bytearray(plain[:61] + gzip.compress(plain[61:]))
    squeezed[8:12] = (len(squeezed) - 12).to_bytes(4, "big")
    squeezed[21:23] = GZIP.to_bytes(2, "big")
    assert [each.offset for each in read(bytes(squeezed))] == [0, 1, 2]


def test_the_size_of_an_answer_is_that_of_its_bytes_and_an_error_has_none() -> None:
    data = batch(0, 3)
    records = TolerantRecords(TP, KeptRecords(data), None, 0, None, None, False, READ_COMMITTED)
    result = FetchResult(TP, assignment=object(), partition_records=records, backoff=0)
    assert fetched_bytes(result) == len(data)
    next(records)
    assert fetched_bytes(result) == len(data), "however much of it was handed out"
    assert fetched_bytes(FetchError(error=KafkaError(), backoff=0)) == 0
