"""A new owner sends what has no outcome yet, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

from pushcast.config.settings import Settings
from pushcast.handover.reading import Span, Spot
from pushcast.handover.standing import decode
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition
from pushcast.send.exact import build_ledgers
from pushcast.stream.batch import TP, Committed
from pushcast.stream.tracker import Record
from pushcast.wire import groups, topics
from pushcast.wire.control.control import Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.headers import LEDGER
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.twin import TOPIC, Harness, TwinOutbox, TwinProvider, failed, message, ok, send_batch

HERE = TP(TOPIC, 3)


class Message(NamedTuple):
    """As confluent-kafka has it."""

    entry: Record

    def topic(self) -> str:
        return self.entry.topic

    def partition(self) -> int:
        return self.entry.partition

    def offset(self) -> int:
        return self.entry.offset

    def value(self) -> bytes | None:
        return self.entry.value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self.entry.headers)


class Logs:
    """What all senders so far have written; reads it, too."""

    def __init__(self) -> None:
        self.entries: list[Record] = []

    def of(self, topic: str) -> list[Record]:
        return [entry for entry in self.entries if entry.topic == topic]

    def acked_end(self, topic: str, partition: int) -> int | None:
        assert partition == 3
        return len(self.of(topic)) or None

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        return {spot: len(self.of(spot[0])) for spot in spots}

    async def written(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        return await self.ends(spots)

    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Any], None]) -> None:
        for (topic, _), (first, end) in spans.items():
            for entry in self.of(topic)[first:end]:
                on_record(Message(entry))


class Owner:
    """A sender process on shared logs."""

    def __init__(
        self, logs: Logs, provider: TwinProvider, lane: Lane = Lane.URGENT, control: ControlState | None = None
    ) -> None:
        self.ledgers = build_ledgers(Settings(), groups.send(Platform.APNS, lane), cast(Any, logs))
        self.ledgers._reader = cast(Any, logs)
        self.harness = Harness(provider, ladder=Ladder(DEFAULT_RUNGS), exact=self.ledgers, control=control)
        self.outbox: TwinOutbox = self.harness.outbox
        self.outbox.log = logs.entries
        self.harness.stage.work = cast(Any, self)
        self.claimed = Committed(None, "")

    def last_heartbeat_at(self) -> float:
        return 0.0

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        assert list(partitions) == [HERE]
        self.claimed = Committed(self._offset, self.harness.stage.commit_metadata(HERE, self._offset))
        return True

    async def take_over(self, at: Committed) -> Committed:
        self._offset = at.offset or 100
        await self.harness.stage.assigned({HERE: at})
        return self.claimed


async def test_targets_with_a_receipt_are_not_sent_again() -> None:
    logs, first = Logs(), TwinProvider()
    old = Owner(logs, first)
    claimed = await old.take_over(Committed(100, ""))
    await old.harness.feed(send_batch(message(3)))
    first.calls[0].answer(ok(1))
    await old.harness.settle()

    second = TwinProvider(accept=True)
    new = Owner(logs, second)
    await new.take_over(claimed)
    await new.harness.feed(send_batch(message(3)))
    assert second.seen == ["u0", "u2"]
    assert new.harness.committable() == 101
    assert len(logs.of(topics.RECEIPT)) == 3
    assert new.ledgers.counters["skipped"] == 1


async def test_a_target_that_waits_on_the_ladder_is_not_sent_again() -> None:
    logs = Logs()
    answers = {"u0": [failed(Disposition.RETRY)], "u1": [ok(0)]}
    old = Owner(logs, TwinProvider(script=answers))
    claimed = await old.take_over(Committed(100, ""))
    await old.harness.feed(send_batch(message(2)))
    assert sum(len(logs.of(topics.retry(delay))) for delay in topics.RETRY_DELAY_SECONDS) == 1

    provider = TwinProvider(accept=True)
    new = Owner(logs, provider)
    await new.take_over(claimed)
    await new.harness.feed(send_batch(message(2)))
    assert provider.seen == []
    assert new.harness.committable() == 101, "a record whose targets all have an outcome is done at once"


async def test_outcomes_of_another_group_are_not_its_own() -> None:
    logs = Logs()
    old = Owner(logs, TwinProvider(accept=True), Lane.BULK)
    claimed = await old.take_over(Committed(100, ""))
    await old.harness.feed(send_batch(message(1)))
    mine = [dict(entry.headers)[LEDGER] for entry in logs.of(topics.RECEIPT)]
    assert len(mine) == 1
    other = Owner(logs, provider := TwinProvider(accept=True), Lane.BULK)
    await other.take_over(claimed)
    await other.harness.feed(send_batch(message(1)))
    assert provider.seen == ["u0"], "the receipt names the urgent group"


async def test_the_commit_says_from_where_outcomes_must_be_read() -> None:
    logs, provider = Logs(), TwinProvider()
    owner = Owner(logs, provider)
    claimed = await owner.take_over(Committed(100, ""))
    assert decode(claimed.metadata).positions[topics.RECEIPT] == 0
    await owner.harness.feed(send_batch(message(1)), send_batch(message(1, first_user=1)))
    provider.calls[1].answer(ok(0))
    await owner.harness.settle()
    stage = owner.harness.stage
    assert decode(stage.commit_metadata(HERE, 100)).positions[topics.RECEIPT] == 0
    provider.calls[0].answer(ok(0))
    await owner.harness.settle()
    assert decode(stage.commit_metadata(HERE, 102)).positions[topics.RECEIPT] == 2


async def test_a_target_that_was_parked_is_not_sent_by_the_next_owner() -> None:
    logs, control = Logs(), ControlState()
    control.live = True
    paused = Subject(Kind.PAUSE, "news", Platform.APNS)
    control.apply(paused.key(), encode(Pause(1)))
    old = Owner(logs, TwinProvider(), control=control)
    claimed = await old.take_over(Committed(100, ""))
    await old.harness.feed(send_batch(message(3)))
    assert len(logs.of(topics.PARKED)) == 1
    control.apply(paused.key(), None)

    second = TwinProvider(accept=True)
    new = Owner(logs, second, control=control)
    await new.take_over(claimed)
    await new.harness.feed(send_batch(message(5)))
    assert second.seen == ["u3", "u4"]
    assert new.harness.committable() == 101
    assert new.harness.figures.skipped == {("apns", "urgent"): 3}
