"""What a scenario is judged by: accounts from the topics, counters of the simulators, and records planned twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pushcast.audit.accounts import Totals
from pushcast.audit.reader import Books
from pushcast.demo.strikes import Exposure
from pushcast.demo.world import World
from pushcast.handover.copies import Copies
from pushcast.handover.fences import Fences, author_of
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.offsets import watermarks
from pushcast.kafka.topics import load_topology
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch

SILENT_POLLS = 20
READ_AT_ONCE = 500
POLL_SECONDS = 0.5
ANSWER_SECONDS = 15.0
PLANNERS = ("plan-", "walk-")
ASKED_AGAIN = 5
MOST_COPIES_TOLD = 20


@dataclass(frozen=True)
class Snapshot:
    """Counts since the world began."""

    accounts: Counter[str]
    planned_twice: int
    accepted_at_provider: int  # copies included
    reached_twice: int
    copies_complete: bool = True

    def since(self, before: Snapshot) -> Snapshot:
        """What was added."""
        accounts = Counter({key: value - before.accounts[key] for key, value in self.accounts.items()})
        return Snapshot(
            accounts,
            self.planned_twice - before.planned_twice,
            self.accepted_at_provider - before.accepted_at_provider,
            self.reached_twice - before.reached_twice,
            self.copies_complete,
        )

    def plus(self, other: Snapshot) -> Snapshot:
        """Both together."""
        return Snapshot(
            Counter({key: self.accounts[key] + other.accounts[key] for key in {*self.accounts, *other.accounts}}),
            self.planned_twice + other.planned_twice,
            self.accepted_at_provider + other.accepted_at_provider,
            self.reached_twice + other.reached_twice,
            self.copies_complete and other.copies_complete,
        )


NOTHING = Snapshot(Counter(), 0, 0, 0)


@dataclass
class Lost:
    """What went with a topic that was deleted: so many events exactly, and at most so many deliveries."""

    events: int = 0
    deliveries: int = 0


@dataclass
class Verdict:
    """A scenario's numbers and what is wrong with them; nothing is wrong when it passed."""

    scenario: str
    seed: int
    produced: int
    counts: Snapshot
    exposures: list[Exposure]
    unbalanced: list[dict[str, Any]]
    deaths: dict[str, int]
    seconds: float
    numbers: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    allowed_copies: int = 0
    lost: Lost = field(default_factory=Lost)

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def bound(self) -> int:
        return sum(exposure.bound for exposure in self.exposures) + self.allowed_copies

    def judge(self) -> None:
        """Adds what breaks a promise: lost, planned twice, more copies than could be, receipts without a push."""
        counts, accounts = self.counts, self.counts.accounts
        handled = accounts["notifications"] + accounts["unaccounted_events"]
        lost, gone = accounts["lost_with_topic"], self.lost
        self._expect(accounts["unaccounted"] == 0, f"{accounts['unaccounted']} deliveries lost")
        self._expect(lost <= gone.deliveries, f"{lost} deliveries lost, {gone.deliveries} went with their topic")
        found = f"{handled} found in the books, {gone.events} went with their topic"
        self._expect(handled + gone.events == self.produced, f"{self.produced} events written, {found}")
        ended = sum(accounts[name] for name in OUTCOMES)
        self._expect(accounts["planned"] == ended + lost, f"{accounts['planned']} planned, {ended} ended")
        self._expect(counts.planned_twice == 0, f"{counts.planned_twice} deliveries planned twice")
        self._expect(counts.copies_complete, "the simulators lost count of copies")
        self._expect(
            counts.reached_twice <= self.bound, f"{counts.reached_twice} reached a provider twice, bound {self.bound}"
        )
        distinct = counts.accepted_at_provider - counts.reached_twice
        # More at the provider than in the receipts is possible: an answer that never came, and a device that ended.
        self._expect(distinct >= accounts["accepted"], f"{accounts['accepted']} receipts, {distinct} pushes accepted")

    def to_dict(self) -> dict[str, Any]:
        """One JSON line."""
        accounts = self.counts.accounts
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "passed": self.passed,
            "events": self.produced,
            "planned": accounts["planned"],
            **{name: accounts[name] for name in OUTCOMES if accounts[name]},
            "lost": accounts["unaccounted"],
            "lost_with_topic": accounts["lost_with_topic"],
            "planned_twice": self.counts.planned_twice,
            "reached_twice": self.counts.reached_twice,
            "in_flight_at_provider": sum(each.in_flight_at_provider for each in self.exposures),
            "unacknowledged": sum(each.unacknowledged for each in self.exposures),
            "accepted_since": sum(each.accepted_since for each in self.exposures),
            "largest_exposure": max((asdict(each) for each in self.exposures), key=_size, default=None),
            "copies_of_receipts": accounts["copies_of_receipts"],
            "void_records": accounts["void_records"],
            "deaths": self.deaths,
            **self.numbers,
            "seconds": round(self.seconds, 1),
            "failures": self.failures,
            "unbalanced": self.unbalanced[:5],
        }

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.failures.append(text)


OUTCOMES = ("accepted", "invalid", "rejected", "expired", "suppressed", "cancelled", "dead")


def _size(exposure: dict[str, Any]) -> int:
    return int(exposure["in_flight_at_provider"] + exposure["unacknowledged"])


class Auditor:
    """Reads one world's topics and simulators. Close it."""

    def __init__(self, world: World, lanes: Sequence[Lane]) -> None:
        self._world = world
        self.books = Books(world.settings)
        self._sent = SentRecords(world, lanes)
        self.totals = Totals()
        self._consumers: dict[str, Consumer] = {}  # by group, which they never join

    def close(self) -> None:
        self.books.close()
        self._sent.close()
        for consumer in self._consumers.values():
            consumer.close()

    def lag(self, group: str, topic: str) -> int:
        """Records that the group has not finished. Asked of a consumer of our own, because librdkafka 2.16 was seen to
        abort in an admin client while its only broker was away. Raises KafkaException, PushcastError."""
        consumer = self._consumers.get(group)
        if consumer is None:
            kafka = self._world.settings.kafka
            client = {**client_config(kafka.bootstrap_servers, kafka.security), "log_level": 0}
            consumer = self._consumers[group] = open_consumer(client, group)
        partitions = range(load_topology().topic(topic).partitions(self._world.settings.kafka.partitions))
        committed = consumer.committed([TopicPartition(topic, each) for each in partitions], timeout=ANSWER_SECONDS)
        unread = 0
        for at in committed:
            low, end = watermarks(consumer, topic, at.partition)
            unread += end - max(low, at.offset)
        return unread

    @property
    def copies(self) -> list[str]:
        """Where the first deliveries are that were planned twice, and who wrote them."""
        return self._sent.copies

    @property
    def written_twice(self) -> int:
        """Send records that Kafka's client wrote twice since the world began."""
        return self._sent.written_twice

    def begin_anew(self, topic: str) -> None:
        """It was deleted and made again: its offsets belong to another log."""
        self._sent.begin_anew(topic)

    def snapshot(self) -> Snapshot:
        """Everything since the world began: a later scenario subtracts. Raises KafkaException, PushcastError.

        Topics and simulators tell of one moment when the simulators accepted nothing while the topics were read: what
        the keeper let go meanwhile would be a push of this scenario with a receipt of the next. Under load there may be
        no such moment: asked again so many times."""
        stats = self._stats()
        for _ in range(ASKED_AGAIN):
            before = stats
            self.totals = totals = self.books.reckon(None)
            stats = self._stats()
            if _sum(stats, "accepted") == _sum(before, "accepted"):
                break
        found = totals.to_dict()
        accounts = Counter({key: value for key, value in found.items() if type(value) is int})
        accounts["unaccounted_events"] = sum(
            row["planned"] is None and row["where"] in {"lag", "lost"} for row in totals.unbalanced
        )
        return Snapshot(
            accounts,
            self._sent.planned_twice(),
            _sum(stats, "accepted"),
            _sum(stats, "duplicates"),
            all(each["copies_complete"] for each in stats),
        )

    def _stats(self) -> list[dict[str, Any]]:
        return list(self._world.simulator_stats().values())


def _sum(stats: list[dict[str, Any]], name: str) -> int:
    return sum(int(each[name]) for each in stats)


class SentRecords:
    """Deliveries that planners wrote to the send topics more than once, void records left out.

    Reads on from where it stopped, so that asking again is cheap. Memory: an entry for each delivery.
    """

    def __init__(self, world: World, lanes: Sequence[Lane]) -> None:
        partitions = range(world.settings.kafka.partitions)
        names = [topics.send(platform, lane) for platform in world.platforms() for lane in lanes]
        self._next = {TopicPartition(name, each): 0 for name in names for each in partitions}
        self._fences: dict[tuple[str, int], Fences] = {}
        self._copies: dict[tuple[str, int], Copies] = {}
        self._seen: dict[bytes, tuple[str, int]] = {}
        self._twice = 0
        self.written_twice = 0  # records that Kafka's client wrote twice: senders leave the second one out
        self.copies: list[str] = []  # where the first ones are: what stands twice, and who wrote it
        self._consumer = Consumer(
            {
                "bootstrap.servers": world.settings.kafka.bootstrap_servers,
                "group.id": "faults-sent",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def begin_anew(self, topic: str) -> None:
        """It was deleted and made again."""
        self._next = {at: 0 if at.topic == topic else next_ for at, next_ in self._next.items()}
        self._fences = {spot: fences for spot, fences in self._fences.items() if spot[0] != topic}
        self._copies = {spot: copies for spot, copies in self._copies.items() if spot[0] != topic}

    def planned_twice(self) -> int:
        """Copies so far. Raises KafkaException, PushcastError."""
        ends = {at: watermarks(self._consumer, at.topic, at.partition)[1] for at in self._next}
        left = {(at.topic, at.partition): at for at, start in self._next.items() if start < ends[at]}
        self._consumer.assign([TopicPartition(at.topic, at.partition, self._next[at]) for at in left.values()])
        silent = 0
        while left:
            # `consume` waits for the whole number or the whole timeout: ask for what is there
            there = sum(ends[at] - self._next[at] for at in left.values())
            messages = self._consumer.consume(min(READ_AT_ONCE, there), POLL_SECONDS)
            silent = 0 if messages else silent + 1
            if silent > SILENT_POLLS:
                raise TimeoutError(f"nothing more to read of {sorted(left)}")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                offset = cast(int, message.offset())
                at = left.get((str(message.topic()), cast(int, message.partition())))
                if at is None or offset < self._next[at]:
                    continue
                self._read(message)
                self._next[at] = offset + 1
                if self._next[at] >= ends[at]:
                    del left[at.topic, at.partition]
        return self._twice

    def _read(self, message: Any) -> None:
        fences = self._fences.setdefault((message.topic(), message.partition()), Fences())
        headers = headers_of(message)
        author = author_of(headers)
        if not fences.admit(author, message.offset()) or author is None or not author.origin.startswith(PLANNERS):
            return
        copies = self._copies.setdefault((message.topic(), message.partition()), Copies())
        if copies.is_copy(headers, message.value(), message.offset()):
            self.written_twice += 1
            return
        place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        at = f"{place} by {author.origin} {author.epoch} at {message.timestamp()[1]}"
        for part in decode_batch(message.value()).messages:
            for delivery_id, source in zip(part.targets.delivery_id, part.targets.source_offset, strict=True):
                mine = at, source
                if (before := self._seen.setdefault(delivery_id, mine)) is not mine:
                    self._twice += 1
                    if len(self.copies) < MOST_COPIES_TOLD:
                        self.copies.append(f"{before[0]} of source {before[1]} and {at} of source {source}")
