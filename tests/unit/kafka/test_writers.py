"""Several producers of one outbox: each place has one of them, and what they report at once is all counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from pushcast.kafka.outbox import KafkaOutbox
from pushcast.kafka.writers import TopicWriters

PLACES = [(topic, partition) for topic in ("push.send.urgent.apns.v1", "push.planned.v1") for partition in range(8)]


class Client:
    """Keeps what it is given, and polls nothing."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int, bytes]] = []
        self.reports: list[Callable[[Any, Any], None]] = []

    def poll(self, timeout: float) -> int:
        return 0

    def produce(self, topic: str, value: bytes, key: Any, partition: int, report: Any, **more: Any) -> None:
        self.taken.append((topic, partition, value))
        self.reports.append(report)


def unexpected(exc: BaseException) -> None:
    raise AssertionError(exc)


def unheard(error: Any, message: Any) -> None:
    """Nobody asks."""


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_records_of_a_place_go_through_one_producer_in_the_order_they_were_put(count: int) -> None:
    clients = [Client() for _ in range(count)]
    writers = TopicWriters(clients, unexpected)  # type: ignore[arg-type]
    for number in range(3):
        for topic, partition in PLACES:
            writers.produce(topic, b"%d" % number, None, partition, unheard)
    for place in PLACES:
        [values] = [found for client in clients if (found := [v for t, p, v in client.taken if (t, p) == place])]
        assert values == [b"0", b"1", b"2"]


@pytest.mark.parametrize("count", [2, 4])
def test_the_partitions_of_a_topic_are_spread_evenly(count: int) -> None:
    clients = [Client() for _ in range(count)]
    writers = TopicWriters(clients, unexpected)  # type: ignore[arg-type]
    for topic, partition in PLACES:
        writers.produce(topic, b"", None, partition, unheard)
    assert {len(client.taken) for client in clients} == {len(PLACES) // count}


def test_one_record_at_a_time_keeps_one_producer_warm_whatever_its_place() -> None:
    clients = [Client() for _ in range(4)]
    writers = TopicWriters(clients, unexpected)  # type: ignore[arg-type]
    for topic, partition in PLACES:
        writers.produce(topic, b"", None, partition, unheard)
        clients[0].reports.pop()(None, None)
    assert [len(client.taken) for client in clients] == [len(PLACES), 0, 0, 0]


def test_a_place_may_change_its_producer_once_all_its_records_are_reported_and_not_before() -> None:
    clients = [Client(), Client()]
    writers = TopicWriters(clients, unexpected)  # type: ignore[arg-type]
    writers.produce("t", b"other", None, 0, unheard)
    for value in (b"0", b"1"):
        writers.produce("t", value, None, 1, unheard)
    clients[0].reports.pop()(None, None)
    clients[1].reports.pop()(None, None)
    writers.produce("t", b"2", None, 1, unheard)
    assert [value for _, _, value in clients[1].taken] == [b"0", b"1", b"2"], "one of them is not reported"
    for report in clients[1].reports[:1] + clients[1].reports[-1:]:
        report(None, None)
    writers.produce("t", b"3", None, 1, unheard)
    assert [value for _, _, value in clients[0].taken] == [b"other", b"3"]


def test_a_place_is_moved_only_after_its_report_was_heard() -> None:
    clients = [Client(), Client()]
    writers = TopicWriters(clients, unexpected)  # type: ignore[arg-type]

    def heard(error: Any, message: Any) -> None:
        writers.produce("t", b"0", None, 0, unheard)

    writers.produce("t", b"first", None, 0, heard)
    clients[0].reports[0](None, None)
    assert [value for _, _, value in clients[0].taken] == [b"first", b"0"]


def test_a_record_that_cannot_be_put_holds_nothing_up() -> None:
    class Full(Client):
        def produce(self, *_: Any, **__: Any) -> None:
            raise BufferError

    clients = [Full(), Client()]
    writers = TopicWriters(clients, unexpected)  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        writers.produce("t", b"x", None, 0, unheard)
    assert writers._least_busy() == 0


class Report:
    """An acknowledged record."""

    def __init__(self, partition: int) -> None:
        self._partition = partition

    def __len__(self) -> int:
        return 1

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return 5

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, 1_800_000_000_000


async def test_reports_of_several_threads_at_once_are_all_counted_and_the_barrier_is_told_once() -> None:
    each, threads = 2_000, 4
    client = Client()
    outbox = KafkaOutbox("127.0.0.1:1", loop=asyncio.get_running_loop(), on_fatal=unexpected, extra={"log_level": 0})
    outbox._produce = client.produce
    told: list[int] = []
    try:
        barrier = outbox.barrier()
        for number in range(each * threads):
            outbox.put(barrier, "t", number % threads, b"x")
        barrier.on_acked(lambda: told.append(outbox.unacknowledged))

        def report(at: int) -> None:
            for give in client.reports[at::threads]:
                give(None, Report(at))

        pool = [threading.Thread(target=report, args=(at,)) for at in range(threads)]
        for thread in pool:
            thread.start()
        for thread in pool:
            await asyncio.to_thread(thread.join)
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == [0]
        assert [outbox.acked_end("t", at) for at in range(threads)] == [6] * threads
    finally:
        outbox._writers.close()


async def test_a_report_waits_while_another_thread_counts_one() -> None:
    client = Client()
    outbox = KafkaOutbox("127.0.0.1:1", loop=asyncio.get_running_loop(), on_fatal=unexpected, extra={"log_level": 0})
    outbox._produce = client.produce
    try:
        barrier = outbox.barrier()
        outbox.put(barrier, "t", 0, b"x")
        [give] = client.reports
        thread = threading.Thread(target=give, args=(None, Report(0)))
        with outbox._reports.reporting:
            thread.start()
            await asyncio.sleep(0.05)
            assert barrier.reports == 0
        await asyncio.to_thread(thread.join)
        assert barrier.reports == 1
    finally:
        outbox._writers.close()
