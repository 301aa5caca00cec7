"""A process tells where it is, and ends when an older one has its slot (rulings I.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytest

from pushcast.handover.reading import Span, Spot, TailUnreadable
from pushcast.runtime.presence import Presence, SlotTakenElsewhere
from pushcast.stream.errors import RecordRefused
from pushcast.wire.control.where import Where, decode, encode, key_of
from pushcast.wire.topics import WHERE
from twins.handover import Log, Process
from twins.kafka import Produced, settled

GROUPS = ["pushcast-plan-normal", "pushcast-plan-bulk"]
KEYS = [key_of(group, "local") for group in GROUPS]
OLD = Where("a", "host-1", 11, 1_000)
YOUNG = Where("b", "host-2", 22, 2_000)


class Message:
    def __init__(self, produced: Produced) -> None:
        self._produced = produced

    def key(self) -> bytes | None:
        return self._produced.key

    def value(self) -> bytes | None:
        return self._produced.value


class Reader:
    """Of the topic, as it is in the world's log."""

    def __init__(self, world: Log) -> None:
        self.world = world
        self.broken: Exception | None = None
        self.spans: list[Span] = []

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        if self.broken is not None:
            raise self.broken
        return {spot: self.world.end(WHERE) for spot in spots}

    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Any], None]) -> None:
        [(first, end)] = spans.values()
        self.spans.append((first, end))
        for produced in self.world.log[first:end]:
            on_record(Message(produced))


class Host:
    def __init__(self, world: Log, me: Where, interval_seconds: float = 3600.0) -> None:
        self.outbox = Process(world)
        self.reader = Reader(world)
        self.ended: list[BaseException] = []
        self.presence = Presence(
            me,
            "local",
            GROUPS,
            outbox=self.outbox,
            reader=self.reader,
            interval_seconds=interval_seconds,
            fatal=lambda _, error: self.ended.append(error),
        )

    async def begin(self) -> None:
        """One round."""
        running = asyncio.ensure_future(self.presence.run())
        await settled()
        await self.outbox.acknowledge_all()
        running.cancel()

    async def lose(self, group: str = GROUPS[0]) -> None:
        losing = asyncio.ensure_future(self.presence.lost(group))
        await settled()
        await self.outbox.acknowledge_all()
        await losing


def world() -> Log:
    return Log(0)


async def test_it_tells_instance_host_pid_and_start_of_every_group() -> None:
    kafka = world()
    await Host(kafka, OLD).begin()
    assert [(each.topic, each.partition, each.key) for each in kafka.log] == [(WHERE, 0, key) for key in KEYS]
    assert {decode(each.value or b"") for each in kafka.log} == {OLD}


async def test_the_younger_of_two_ends_with_exit_code_2_and_names_host_and_pid_of_the_older() -> None:
    kafka = world()
    old, young = Host(kafka, OLD), Host(kafka, YOUNG)
    await old.begin()
    await young.begin()
    await old.lose()
    assert old.ended == []
    await young.lose()
    [error] = young.ended
    assert isinstance(error, SlotTakenElsewhere)
    assert error.exit_code == 2
    assert "pid 11 on host host-1" in str(error)


async def test_another_group_of_the_same_slot_says_nothing() -> None:
    kafka = world()
    old, young = Host(kafka, OLD), Host(kafka, YOUNG)
    await old.begin()
    await young.begin()
    await old.lose(GROUPS[1])
    await young.lose(GROUPS[0])
    assert young.ended == []


async def test_who_lost_the_id_to_nobody_goes_on() -> None:
    kafka = world()
    await Host(kafka, OLD).begin()  # and is killed
    young = Host(kafka, YOUNG)
    await young.begin()
    await young.lose()
    assert young.ended == []


async def test_what_others_write_there_is_left_out() -> None:
    kafka = world()
    young = Host(kafka, YOUNG)
    await young.begin()
    kafka.log += [Produced(WHERE, 0, value, KEYS[0], (), None) for value in (b"{", None, b"\xff")]
    await young.lose()
    assert young.ended == []


async def test_no_more_is_read_than_was_written_since_its_last_three_rounds() -> None:
    kafka = world()
    host = Host(kafka, OLD)
    for _ in range(6):
        await host.begin()
    kafka.log += [Produced(WHERE, 0, encode(YOUNG), KEYS[0], (), None)] * 5
    await host.lose()
    assert host.reader.spans == [(6, 6 * len(GROUPS) + 5 + 1)]


@pytest.mark.parametrize("error", [TailUnreadable("no answer"), TimeoutError()])
async def test_when_kafka_does_not_answer_it_goes_on_and_says_so(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(world(), YOUNG)
    host.reader.broken = error
    await host.lose()
    assert host.ended == []
    assert "is not known" in caplog.text


async def test_a_topic_that_takes_nothing_is_said_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    host = Host(world(), YOUNG)
    for _ in range(2):
        running = asyncio.ensure_future(host.presence.run())
        await settled()
        for barrier, _ in host.outbox.pending:
            barrier.refusal = cast(Any, RecordRefused("refused", WHERE, 0, 1, "not authorized"))
        await host.outbox.acknowledge_all()
        running.cancel()
    assert caplog.text.count("would not be found") == 1
