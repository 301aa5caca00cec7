"""A batch that is damaged stops its own partition, and costs no other one a record."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import RecordTooLargeError, TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from pushcast.transport import records
from pushcast.transport.fetch_plan import FetchPlan
from pushcast.transport.jumps import Jumps
from pushcast.transport.records import KeptRecords, PatientResult, TolerantRecords, unreadable

GOOD, BAD = TopicPartition("events", 0), TopicPartition("events", 1)
NONE, GZIP, LZ4 = 0, 1, 3


def batch(first: int, count: int, codec: int = NONE) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, 0, 0, 1 << 20)
    for number in range(count):
        builder.append(number, 1_000 + number, b"key", b"value %d" % (first + number), [])
    data = bytearray(builder.build())
    data[0:8] = first.to_bytes(8, "big")
    return bytes(data)


def damaged(data: bytes) -> bytes:
    """Another last byte; the checksum stays."""
    return data[:-1] + bytes((data[-1] ^ 0xFF,))


def unknown_codec(data: bytes) -> bytes:
    return data[:21] + (7).to_bytes(2, "big") + data[23:]


class Consumer:
    """aiokafka's fetcher without its tasks. What it has fetched is put into it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("MemoryRecords", "PartitionRecords", "FetchResult"):
            monkeypatch.setattr(fetcher, name, getattr(fetcher, name))  # put back behind the test
        records.install()
        subscriptions = SubscriptionState()
        subscriptions.assign_from_user([GOOD, BAD])
        self.assignment = subscriptions.subscription.assignment
        self.fetcher: Any = Fetcher.__new__(Fetcher)
        self.fetcher._subscriptions = subscriptions
        self.fetcher._records = OrderedDict()
        self.fetcher._fetch_waiters = set()
        self.fetcher._loop = asyncio.get_running_loop()
        self.fetcher._wait_consume_future = None
        self.fetcher._closed = False

    def fetched(self, tp: TopicPartition, data: bytes, at: int = 0, check_crcs: bool = True) -> None:
        state = self.assignment.state_value(tp)
        if not state.has_valid_position:
            state.seek(at)
        read = TolerantRecords(tp, KeptRecords(data), None, at, None, None, check_crcs, READ_COMMITTED)
        self.fetcher._records[tp] = fetcher.FetchResult(
            tp, assignment=self.assignment, partition_records=read, backoff=0.1
        )

    def position(self, tp: TopicPartition) -> int:
        position: int = self.assignment.state_value(tp).position
        return position

    async def take(self, most: int | None = None) -> dict[TopicPartition, list[int]]:
        found = await self.fetcher.fetched_records(None, timeout=0, max_records=most)
        return {tp: [record.offset for record in taken] for tp, taken in found.items()}


async def test_records_of_other_partitions_are_handed_out_beside_a_batch_with_a_wrong_checksum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consumer = Consumer(monkeypatch)
    consumer.fetched(GOOD, batch(0, 3))
    consumer.fetched(BAD, batch(0, 2) + damaged(batch(2, 2)) + batch(4, 1))
    assert await consumer.take() == {GOOD: [0, 1, 2], BAD: [0, 1]}
    assert (consumer.position(GOOD), consumer.position(BAD)) == (3, 2)
    found = unreadable(consumer.fetcher._records[BAD])
    assert found is not None
    assert found.offset == 2
    assert "CRC" in found.why


@pytest.mark.parametrize("spoilt", [unknown_codec, damaged])
async def test_what_no_codec_reads_ends_nothing(monkeypatch: pytest.MonkeyPatch, spoilt: Any) -> None:
    consumer = Consumer(monkeypatch)
    consumer.fetched(BAD, spoilt(batch(0, 50, GZIP)), check_crcs=False)
    consumer.fetched(GOOD, batch(0, 1))
    assert await consumer.take() == {GOOD: [0]}
    assert consumer.position(BAD) == 0


async def test_it_is_fetched_again_in_a_while_and_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    consumer = Consumer(monkeypatch)
    consumer.fetched(BAD, batch(0, 1) + damaged(batch(1, 2)))
    assert await consumer.take() == {BAD: [0]}
    assert await consumer.take() == {}
    result = consumer.fetcher._records[BAD]
    assert isinstance(result, PatientResult)
    assert result.calculate_backoff() == 0, "others of its broker do not wait for it"
    now += records.UNREADABLE_SECONDS
    assert await consumer.take() == {}
    assert BAD not in consumer.fetcher._records, "aiokafka asks for it again"
    consumer.fetched(BAD, batch(1, 2), at=1)
    assert await consumer.take() == {BAD: [1, 2]}


async def test_an_answer_that_is_taken_in_parts_stops_at_the_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer(monkeypatch)
    consumer.fetched(BAD, batch(0, 3, LZ4) + damaged(batch(3, 2)))
    assert await consumer.take(2) == {BAD: [0, 1]}
    assert await consumer.take(2) == {BAD: [2]}
    assert unreadable(consumer.fetcher._records[BAD]) is not None


async def test_a_partition_that_went_away_meanwhile_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer(monkeypatch)
    consumer.fetched(BAD, damaged(batch(0, 1)))
    assert await consumer.take() == {}
    consumer.assignment._unassign()
    assert await consumer.take() == {}
    assert consumer.fetcher._records == {}


async def test_a_topic_that_this_process_may_not_read_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    consumer = Consumer(monkeypatch)
    wishes: Any = SimpleNamespace(gathered=(), partitions={})
    consumer.fetcher._max_partition_fetch_bytes = 1
    consumer.fetcher._prefetch_backoff = 0.1
    FetchPlan(consumer.fetcher, wishes, Jumps())
    consumer.assignment.state_value(BAD).seek(7)
    consumer.fetcher._set_error(BAD, TopicAuthorizationFailedError("events"))
    consumer.fetched(GOOD, batch(0, 1))
    assert await consumer.take() == {GOOD: [0]}
    found = unreadable(consumer.fetcher._records[BAD])
    assert found == (7, "[Error 29] TopicAuthorizationFailedError: events")
    assert await consumer.take() == {}
    now += records.UNREADABLE_SECONDS
    assert await consumer.take() == {}
    assert (consumer.fetcher._records, consumer.position(BAD)) == ({}, 7)


async def test_another_error_is_raised_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer(monkeypatch)
    wishes: Any = SimpleNamespace(gathered=(), partitions={})
    consumer.fetcher._max_partition_fetch_bytes = 1
    consumer.fetcher._prefetch_backoff = 0.1
    FetchPlan(consumer.fetcher, wishes, Jumps())
    consumer.fetcher._set_error(BAD, RecordTooLargeError())
    with pytest.raises(RecordTooLargeError):
        await consumer.take()
