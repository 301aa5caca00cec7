"""The producer of the doors: bounds, turns of groups, what becomes of what Kafka refuses. On a client of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from pushcast.kafka import acks
from pushcast.kafka.ack_groups import Group, Record, produce_each
from pushcast.kafka.acks import AckProducer
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused, RecordTooLarge


class Report:
    """What a client tells of a record."""

    def __init__(self, topic: str, partition: int, offset: int | None) -> None:
        self._place = topic, partition, offset

    def __len__(self) -> int:
        return 5

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int | None:
        return self._place[2]


class Client:
    """Confirms what it was told to at the next poll."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, int, Callable[[Any, Any], None]]] = []
        self.confirmed = 0
        self.answered = 0  # records of which the next poll tells
        self.failure: Exception | None = None
        self.refused: dict[int, KafkaError] = {}  # of a batch, by place
        self.batch_failure: Exception | None = None
        self.put_failure: Exception | None = None
        self.headers: list[Any] = []

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        partition: int,
        delivered: Callable[[Any, Any], None],
        headers: Any = None,
    ) -> None:
        if self.put_failure is not None:
            raise self.put_failure
        self.puts.append((topic, partition, delivered))
        self.headers.append(headers)

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], partition: int) -> int:
        if self.batch_failure is not None:
            raise self.batch_failure
        for place, message in enumerate(messages):
            if (error := self.refused.get(place)) is not None:
                message["_error"] = error
            else:
                self.puts.append((topic, partition, message["callback"]))
        return len(messages) - len(self.refused)

    def poll(self, _seconds: float) -> int:
        if self.failure is not None:
            raise self.failure
        self.confirm(self.answered)
        self.answered = 0
        return 0

    def confirm(self, count: int, error: KafkaError | None = None, offset: int | None = 7) -> None:
        for topic, partition, delivered in self.puts[self.confirmed : self.confirmed + count]:
            delivered(error, Report(topic, partition, offset))
        self.confirmed += count


class Rig:
    def __init__(self, client: Client, producer: AckProducer, fatal: list[BaseException]) -> None:
        self.client, self.producer, self.fatal = client, producer, fatal


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    client, fatal = Client(), list[BaseException]()
    monkeypatch.setattr(acks, "open_producer", lambda *_, **__: client)
    producer = AckProducer("", None, loop=asyncio.get_running_loop(), on_fatal=fatal.append, max_records=10)
    yield Rig(client, producer, fatal)
    await producer.close(0)


def records(count: int) -> list[Record]:
    return [("t", 0, b"u", b"v")] * count


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_record_resolves_to_its_place(rig: Rig) -> None:
    future = rig.producer.put("t", 3, b"u", b"v")
    assert rig.producer.unacknowledged == 1
    rig.client.confirm(1)
    assert (await future).record == "t/3/7"
    assert (rig.producer.unacknowledged, rig.producer.oldest_seconds()) == (0, 0.0)


async def test_how_long_kafka_took_is_counted_of_each_record_and_once_of_a_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, clock, fatal = Client(), [100.0], list[BaseException]()
    monkeypatch.setattr(acks, "open_producer", lambda *_, **__: client)
    monkeypatch.setattr(acks, "monotonic", lambda: clock[0])
    producer = AckProducer(
        "", None, loop=asyncio.get_running_loop(), on_fatal=fatal.append, max_records=10, bounds=(0.1, 1.0)
    )
    for seconds, more in ((0.0625, 1), (0.5, 3), (2.0, 1)):
        if more == 1:
            producer.put("t", 0, b"u", b"v")
        else:
            await producer.put_all(records(more))
        clock[0] += seconds
        client.confirm(more)
    await producer.close(0)
    assert (producer.waits, producer.waited_seconds) == ([1, 1, 1], 2.5625)
    assert not fatal


async def test_a_single_record_beyond_the_bound_is_refused(rig: Rig) -> None:
    for _ in range(10):
        rig.producer.put("t", 0, b"u", b"v")
    with pytest.raises(Full):
        rig.producer.put("t", 0, b"u", b"v")


async def test_a_group_waits_for_room_and_leaves_some_for_single_records(rig: Rig) -> None:
    first = await rig.producer.put_all(records(8))
    second = asyncio.create_task(rig.producer.put_all(records(4)))
    await settled()
    assert not second.done()
    rig.producer.put("t", 0, b"u", b"v")  # a single record finds room beside groups
    rig.client.confirm(8)
    assert first.future.done()
    await settled()
    assert second.done()
    assert rig.producer.unacknowledged == 5


async def test_groups_take_turns_in_their_order(rig: Rig) -> None:
    await rig.producer.put_all(records(8))
    order: list[int] = []

    async def put(number: int, count: int) -> None:
        await rig.producer.put_all(records(count))
        order.append(number)

    tasks = [asyncio.create_task(put(number, count)) for number, count in enumerate((8, 1, 1))]
    await settled()
    assert order == []
    for _ in range(3):
        rig.client.confirm(8)
        await settled()
    assert order == [0, 1, 2]
    await asyncio.gather(*tasks)


async def test_a_group_above_the_bound_goes_when_nothing_else_waits(rig: Rig) -> None:
    group = await rig.producer.put_all(records(50))
    assert group.answered == [False] * 50


async def test_a_refused_record_of_a_group_ends_alone(rig: Rig) -> None:
    group: Group = await rig.producer.put_all(records(3))
    rig.client.confirm(1)
    rig.client.confirm(1, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    assert group.answered == [True, True, False]
    rig.client.confirm(1)
    assert group.future.done()
    assert isinstance(group.errors.pop(1), RecordTooLarge)
    assert not group.errors


async def test_what_librdkafka_does_not_take_of_a_group_ends_at_once_and_the_rest_with_kafka(rig: Rig) -> None:
    rig.client.refused = {
        0: KafkaError(KafkaError._QUEUE_FULL),
        2: KafkaError(KafkaError.MSG_SIZE_TOO_LARGE),
        3: KafkaError(KafkaError._UNKNOWN_TOPIC),
    }
    group: Group = await rig.producer.put_all(records(5))
    assert group.answered == [True, False, True, True, False]
    assert [type(group.errors[place]) for place in (0, 2, 3)] == [Full, RecordTooLarge, OutboxFailed]
    rig.client.confirm(2)
    assert group.future.done()
    assert rig.producer.unacknowledged == 0


async def test_a_group_of_which_nothing_could_be_put_has_ended(rig: Rig) -> None:
    for failure, expected in ((KafkaException(KafkaError(KafkaError._FATAL)), OutboxFailed), (BufferError(), Full)):
        rig.client.batch_failure = failure
        group: Group = await rig.producer.put_all(records(2))
        assert group.future.done()
        assert [type(error) for error in group.errors.values()] == [expected] * 2
    assert rig.producer.unacknowledged == 0


async def test_records_of_a_group_go_to_their_topics_and_partitions_in_their_order(rig: Rig) -> None:
    rows: list[Record] = [(f"t{number % 2}", number // 3, b"u", b"v") for number in range(6)]
    group: Group = await rig.producer.put_all(rows)
    places = [(topic, partition) for topic, partition, _ in rig.client.puts]
    assert places == [*[("t0", 0)] * 2, ("t1", 0), *[("t1", 1)] * 2, ("t0", 1)]
    rig.client.confirm(1)
    rig.client.confirm(1, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    assert group.answered == [True, False, True, False, False, False]
    assert list(group.errors) == [2]


async def test_an_acknowledgement_without_an_offset_proves_nothing(rig: Rig) -> None:
    single = rig.producer.put("t", 0, b"u", b"v")
    group = await rig.producer.put_all(records(1))
    rig.client.confirm(2, None, None)
    with pytest.raises(OutboxFailed, match="without an offset"):
        await single
    assert isinstance(group.errors[0], OutboxFailed)


async def test_a_group_that_gives_up_waiting_lets_the_next_have_its_turn(rig: Rig) -> None:
    await rig.producer.put_all(records(8))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.producer.put_all(records(2)), 0.01)
    rig.client.confirm(8)
    await rig.producer.put_all(records(2))
    assert rig.producer.unacknowledged == 2


async def test_a_poll_that_fails_ends_the_process_and_whoever_waits_for_room(rig: Rig) -> None:
    await rig.producer.put_all(records(8))
    waiting = asyncio.create_task(rig.producer.put_all(records(8)))
    await settled()
    rig.client.failure = SystemError("inside the library")
    with pytest.raises(OutboxFailed):
        await asyncio.wait_for(waiting, 5)
    assert len(rig.fatal) == 1
    with pytest.raises(OutboxFailed):
        rig.producer.put("t", 0, b"u", b"v")


async def test_a_loop_that_was_busy_fetches_what_kafka_has_answered_before_it_says_that_kafka_is_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.producer.put("t", 0, b"u", b"v")
    later = monotonic() + 3
    monkeypatch.setattr(acks, "monotonic", lambda: later)
    assert rig.producer.oldest_seconds() > 2
    rig.client.answered = 1
    assert rig.producer.oldest_seconds() == 0


TOO_LARGE = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
HEADERS = [("traceparent", b"00")]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (TOO_LARGE, RecordTooLarge),
        (KafkaException(KafkaError(KafkaError.INVALID_RECORD)), RecordRefused),
        (KafkaException(KafkaError(KafkaError._FATAL)), OutboxFailed),
        (KafkaException(KafkaError(KafkaError._INVALID_ARG)), OutboxFailed),
        (KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC)), OutboxFailed),
        (BufferError(), Full),
        (TypeError("no bytes"), RecordRefused),
        (OverflowError("too large"), RecordRefused),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), RecordRefused),
        (ValueError("embedded null character"), RecordRefused),
    ],
)
async def test_what_the_client_does_not_take_ends_alike_alone_and_in_a_group_with_headers_and_without(
    failure: Exception, expected: type[BaseException], rig: Rig
) -> None:
    rig.client.put_failure = rig.client.batch_failure = failure
    ends: list[BaseException | None] = []
    try:
        ends.append(rig.producer.put("t", 0, b"u", b"v", HEADERS).exception())
    except (Full, OutboxFailed) as error:
        ends.append(error)
    for headers in (None, {"t": HEADERS}):
        group: Group = await rig.producer.put_all(records(1), headers)
        assert group.future.done()
        ends.append(group.errors[0])
    assert [type(each) for each in ends] == [expected] * 3
    assert rig.producer.unacknowledged == 0
    assert rig.fatal == []


async def test_a_header_whose_name_is_no_text_never_reaches_the_client_which_would_crash_of_it(rig: Rig) -> None:
    headers = [("\ud800", b"1")]
    assert isinstance(rig.producer.put("t", 0, b"u", b"v", headers).exception(), RecordRefused)
    group: Group = await rig.producer.put_all(records(1), {"t": headers})
    assert isinstance(group.errors[0], RecordRefused)
    assert (rig.client.puts, rig.producer.unacknowledged) == ([], 0)


async def test_headers_count_for_the_bound_of_memory(monkeypatch: pytest.MonkeyPatch, rig: Rig) -> None:
    monkeypatch.setattr(rig.producer, "_max_bytes", 10_000)
    with pytest.raises(Full):
        rig.producer.put("t", 0, b"u", b"v", [("a", bytes(10_000))])


async def test_the_client_says_at_once_that_headers_make_a_record_too_large() -> None:
    client = Producer({"bootstrap.servers": "127.0.0.1:1", "message.max.bytes": 1_000_000, "log_level": 0})
    group = Group(1, asyncio.get_running_loop().create_future())
    produce_each(client, [("t", 0, b"u", b"v")], group, {"t": [("a", bytes(2_000_000))]})
    assert isinstance(group.errors[0], RecordTooLarge)
    assert group.errors[0].size_bytes > 2_000_000


async def test_records_with_headers_are_put_one_by_one_and_end_alike(rig: Rig) -> None:
    rows = [("t", 0, b"u", b"v"), ("s", 1, b"u", b"v")]
    group: Group = await rig.producer.put_all(rows, {"t": [("traceparent", b"00")], "s": ()})
    assert rig.client.headers == [[("traceparent", b"00")], ()]
    rig.client.confirm(2)
    assert group.future.done()
    rig.client.put_failure = BufferError()
    full: Group = await rig.producer.put_all(rows[:1], {})
    rig.client.put_failure = KafkaException(KafkaError(KafkaError._FATAL))
    fatal: Group = await rig.producer.put_all(rows[:1], {})
    assert [type(each.errors[0]) for each in (full, fatal)] == [Full, OutboxFailed]
    assert rig.producer.unacknowledged == 0
