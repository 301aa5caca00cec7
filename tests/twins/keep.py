"""KEEP on one partition of a twin of Kafka: keepers that come and go, their tables, and a broker that compacts."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import orjson

from pushcast.config.settings import Settings
from pushcast.handover.guard import RowGuard
from pushcast.keep.agent import KeepStage
from pushcast.keep.configured import KeepRules
from pushcast.keep.exact import STAGE, KeepHandover
from pushcast.keep.index import REMEMBER_MS
from pushcast.keep.outlook import OutlookRules, unknown
from pushcast.keep.read_back import EarlierRecord, EarlierRecords
from pushcast.keep.written import WrittenEntries
from pushcast.model.caps import CapRule
from pushcast.model.clock import ManualClock
from pushcast.model.digest import DigestRule
from pushcast.model.drain import Lifetime
from pushcast.model.ids import partition_of
from pushcast.model.pacing import Rates
from pushcast.model.words import Lane, Reason
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.cancelling import NothingCancelled
from pushcast.stream.ports import Acked
from pushcast.stream.sharing import Sharing
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire import topics
from pushcast.wire.answers.counted import Counted, encode_counted
from pushcast.wire.control.cancel_state import CancelRecord
from pushcast.wire.control.control import Rate
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.headers import origin
from pushcast.wire.sending.recall_offers import RecallOffer, encode_offer
from pushcast.wire.waiting.facts import Facts, encode_facts
from pushcast.wire.waiting.held import Held, held_headers
from pushcast.wire.waiting.notices import Notice, NoticeKind, ThreadsOff, notice_headers
from pushcast.wire.waiting.timers import Timer
from twins.handover import Log, Message, Process
from twins.kafka import OPEN, ManualTimers, Produced, record, settled

T0 = 1_800_000_000_000
PARTITION = 3
PARTITIONS = 8
BY_PEOPLE = (topics.CANCEL, topics.ENGAGEMENT, topics.RECALLABLE, topics.COUNTED)
SOURCES = tuple(TP(topic, PARTITION) for topic in (*(topics.keep(lane) for lane in Lane), *BY_PEOPLE))
USERS = [
    user for user in (f"u{number}" for number in range(100)) if partition_of(user.encode(), PARTITIONS) == PARTITION
]


class Row(NamedTuple):
    """A record of the table's topic, for the guard."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int


class KeptTable:
    """The keeper's table: applies the log when the test says so, from what the broker has left of it."""

    def __init__(self, world: KeepWorld, written: WrittenEntries) -> None:
        self._world = world
        self._written = written
        self._guard = RowGuard(f"{STAGE}/{PARTITION}")
        self.rows: dict[bytes, bytes] = {}
        self.entries: set[bytes] = set()
        self._applied = 0
        self._hooks: list[Callable[[int, Sequence[Any]], None]] = []
        self._void_hooks: list[Callable[[int, int], None]] = []

    def tail(self, count: int | None = None) -> None:
        """Applies the next records."""
        messages = self._world.messages(topics.USER)[self._applied :][:count]
        self._applied += len(messages)
        gone = self._world.compacted
        records = [
            Row(each.at, each.produced.key, each.value(), each.headers(), self._world.stamp(each.at))
            for each in messages
            if each.at not in gone
        ]
        judged = self._guard.judge(cast(Any, records))
        for key, value in judged.rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
                if is_row(key):
                    self.entries.update(self._written.of([(key, value)]))
        for hook in self._hooks:
            hook(PARTITION, [records[index] for index in judged.admitted])
        if judged.void:
            for void_hook in self._void_hooks:
                void_hook(PARTITION, judged.void)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def scan(self, partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        return sorted((key, value) for key, value in self.rows.items() if key.startswith(prefix))

    def multi_scan(self, partition: int, prefixes: Sequence[bytes]) -> list[list[tuple[bytes, bytes]]]:
        return [self.scan(partition, prefix) for prefix in prefixes]

    def rows_after(self, partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return [(name, row) for name, row in sorted(self.rows.items()) if name > key and is_row(name)][:limit]

    def index(self, partition: int, first: bytes, before: bytes, limit: int) -> list[bytes]:
        return sorted(entry for entry in self.entries if first <= entry < before)[:limit]

    def forget_entries(self, partition: int, entries: Iterable[bytes]) -> None:
        self.entries.difference_update(entries)

    def held(self, partition: int) -> bool:
        return True

    def position(self, partition: int) -> int:
        return self._applied

    def fenced(self, partition: int) -> int:
        return self._guard.epoch

    def void(self, partition: int) -> Mapping[bytes, int]:
        return self._guard.void

    def on_applied(self, hook: Callable[[int, Sequence[Any]], None]) -> None:
        self._hooks.append(hook)

    def on_void(self, hook: Callable[[int, int], None]) -> None:
        self._void_hooks.append(hook)


class Earlier:
    """What users have told, for a keeper that reads it once more."""

    def __init__(self, world: KeepWorld) -> None:
        self._world = world
        self.asked = 0
        self.failures = 0  # that come first

    async def read(self, partition: int, since_ms: int, end: int) -> Sequence[EarlierRecord]:
        self.asked += 1
        if self.asked <= self.failures:
            raise ConnectionError("the broker is away")
        records = self._world.records(TP(topics.ENGAGEMENT, partition), 0)
        return [EarlierRecord(each.key, each.value, each.timestamp) for each in records if each.offset < end]


class KeepWorld(Log):
    """Planners and people write; keepers hold and let go."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(PARTITION)
        self.rnd = random.Random(seed)
        self.clock = ManualClock(T0)
        self.committed = {tp: Committed(None, "") for tp in SOURCES}
        self.keepers: list[Keeper] = []
        self.digests = {"posts": DigestRule(86_400_000)}
        self.live: dict[str, Rate] = {}  # rates of campaigns, by the control topic
        self.caps: list[CapRule] = []
        self.mandatory: frozenset[str] = frozenset()
        self.earlier: EarlierRecords = Earlier(self)
        self.quotas: dict[str, int] = {}  # pushes that providers take in a minute, by app
        self.lifetime_of: Callable[[str, Timer], Lifetime | None] = unknown
        self.closing_gather_seconds = 0.0
        self.remember_ms = REMEMBER_MS
        self.dangerous = False  # keepers may be killed while they take over
        self.compacted: set[int] = set()  # offsets of the table's topic that the broker has dropped
        self.broker_ahead_ms = 0  # of the clocks of keepers
        self._stamps: dict[int, int] = {}  # broker's time of records of the table's topic, by offset

    def stamp(self, offset: int) -> int:
        """When the broker took a record: here when the first keeper reads it. No clock on a wall moves it."""
        now_ms = max([self.clock.now_ms(), *(keeper.true_ms() for keeper in self.keepers[-1:])])
        return self._stamps.setdefault(offset, now_ms + self.broker_ahead_ms)

    def hold(
        self,
        note_id: str = "n",
        due_at: int = T0,
        *,
        user: str = USERS[0],
        lane: Lane = Lane.NORMAL,
        event: bytes = b'{"id": "n", "title": "t"}',
        epoch: int = 1,
        facts: Facts | None = None,
        written_at: int = T0 - 5,
        badge: str = "",
        pace: str = "",
        zoned: bool = False,
        part: int = 0,
        revision: int | None = None,
        was_seen: bool = False,
        if_active: str = "",
        trace: str | None = None,
        broadcast: str = "",
    ) -> str:
        """A planner holds a notification of the app news back. Returns the timer's name."""
        topic = topics.keep(lane)
        offset = self.end(topic)
        said = b"" if facts is None else encode_facts(facts)
        held = Held(note_id, due_at, written_at, part, facts=said, app="news", badge=badge, pace=pace)
        held = held._replace(
            zoned=zoned, revision=revision, was_seen=was_seen, if_active=if_active, broadcast=broadcast
        )
        headers = held_headers(origin(f"plan-{lane}", PARTITION, epoch), 7, held, trace)
        self.log.append(Produced(topic, PARTITION, event, user.encode(), headers, T0))
        return f"{lane}|{offset}"

    def notice(self, kind: NoticeKind, at: int = T0, user: str = USERS[0], off: ThreadsOff | None = None) -> None:
        """A registrar tells something of a user."""
        headers = notice_headers(Notice(kind, at, off))
        self.log.append(Produced(topics.keep(Lane.URGENT), PARTITION, b"", user.encode(), headers, T0))

    def gather(
        self,
        note_id: str,
        *,
        window_ms: int = 600_000,
        expires_at: int = T0 + 86_400_000,
        user: str = USERS[0],
        lane: Lane = Lane.NORMAL,
        key: str = "",
        revision: int | None = None,
        thread: str | None = None,
        app: str | None = "news",
    ) -> str:
        """A planner gives a notification of the class `posts` to a digest, written now. Returns the timer's name."""
        now_ms = self.clock.now_ms()
        facts = Facts(Reason.DIGEST, "posts", expires_at, app, key, f"title of {note_id}")
        said = {"id": note_id} | ({} if thread is None else {"app": app, "options": {"thread_id": thread}})
        event = orjson.dumps(said)
        return self.hold(
            note_id,
            now_ms + window_ms,
            user=user,
            lane=lane,
            event=event,
            facts=facts,
            written_at=now_ms,
            revision=revision,
        )

    def limit(
        self,
        note_id: str,
        *,
        expires_at: int = T0 + 86_400_000,
        user: str = USERS[0],
        lane: Lane = Lane.NORMAL,
        klass: str = "promo",
        part: int = 0,
        broadcast: str = "",
        event: bytes = b"",
    ) -> str:
        """A planner asks whether a user may get a notification now. Returns the timer's name."""
        now_ms = self.clock.now_ms()
        facts = Facts(Reason.FREQUENCY_CAP, klass, expires_at, "news", title=f"title of {note_id}")
        event = event or b'{"id": "%s"}' % note_id.encode()
        return self.hold(
            note_id,
            now_ms,
            user=user,
            lane=lane,
            event=event,
            facts=facts,
            written_at=now_ms,
            part=part,
            broadcast=broadcast,
        )

    def cancel(self, *note_ids: str, user: str = USERS[0], **fields: Any) -> None:
        """Somebody calls them off; every keeper's tail hears of it."""
        value = orjson.dumps({"ids": note_ids, **fields})
        now_ms = self.clock.now_ms()
        self.log.append(Produced(topics.CANCEL, PARTITION, value, user.encode(), [], now_ms))
        for keeper in self.keepers:
            keeper.hear(CancelRecord(user.encode(), value, now_ms))

    def engage(self, event: str, user: str = USERS[0], **fields: Any) -> None:
        """An app tells something of its user."""
        value = orjson.dumps({"event": event, "app": "news", **fields})
        self.log.append(Produced(topics.ENGAGEMENT, PARTITION, value, user.encode(), [], self.clock.now_ms()))

    def offer(
        self,
        note_id: str,
        device: str,
        message: str | None = None,
        user: str = USERS[0],
        thread: str | None = None,
        created_at: int = T0 - 5,
        campaign: str | None = None,
        tag: str | None = None,
    ) -> None:
        """A sender tells of a removable push that was taken; `message`: how its service named it, if it takes back;
        `tag`: what the browser knows it by, if a removal replaces it."""
        now_ms = self.clock.now_ms()
        about = message, now_ms, thread, created_at, campaign, tag
        offer = RecallOffer("00", note_id, "news", device, "webpush", "accepted", *about)
        value = encode_offer(offer)
        self.log.append(Produced(topics.RECALLABLE, PARTITION, value, user.encode(), [], now_ms))

    def count(self, counted: Counted, user: str = USERS[0]) -> None:
        """A planner or a sender tells what became of a notification."""
        value = encode_counted(counted)
        self.log.append(Produced(topics.COUNTED, PARTITION, value, user.encode(), [], self.clock.now_ms()))

    def records(self, tp: TP, start: int) -> list[Record]:
        return [
            record(tp.topic, PARTITION, each.at, each.produced.key, each.value(), each.headers(), self.clock.now_ms())
            for each in self.messages(tp.topic)[start:]
        ]

    def due(self, *, void: bool = True) -> list[Message]:
        """What was let go, for a reader from the beginning."""
        return [each for lane in Lane for each in self.valid(topics.due(lane), void=void)]

    def compact(self) -> None:
        """The broker keeps the last record of a key, whoever wrote it."""
        last: dict[bytes | None, int] = {}
        for message in self.messages(topics.USER):
            if message.at in self.compacted:
                continue
            key = message.produced.key
            if key in last:
                self.compacted.add(last[key])
            last[key] = message.at

    async def take_over(self, **options: Any) -> Keeper:
        while True:
            keeper = Keeper(self, **options)
            self.keepers.append(keeper)
            if await keeper.start():
                return keeper


class KeepProcess(Process):
    """A keeper's producer, which knows how much of a topic is its own."""

    def __init__(self, world: KeepWorld) -> None:
        super().__init__(world)
        self._stamp = world.stamp
        self._acked: dict[str, Acked] = {}

    def acked(self, topic: str, partition: int) -> Acked | None:
        return self._acked.get(topic)

    def acknowledge(self, index: int = 0) -> Produced:
        topic = self.pending[index][1].topic
        at, before = self.world.end(topic), self._acked.get(topic)
        stamped_ms = self._stamp(at) if topic == topics.USER else -1
        self._acked[topic] = Acked(at + 1, 1 if before is None else before.records + 1, stamped_ms)
        return super().acknowledge(index)


class Keeper:
    """One process."""

    def __init__(
        self,
        world: KeepWorld,
        *,
        tzdata: str | None = None,
        hold_on_disagreement: bool = False,
        sharing: Sharing | None = None,
    ) -> None:
        self.busy: set[TP] = set()  # with records that wait to be handled
        self.behind: dict[TP, int] = {}  # Kafka time of the oldest record that is not done
        self.world = world
        self.clock = ManualClock(world.clock.now_ms())
        self._began = self.clock.now_ms(), self.clock.monotonic_seconds()
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.outbox = KeepProcess(world)
        written = WrittenEntries()
        self.table = KeptTable(world, written)
        self.fatal: list[tuple[str, BaseException]] = []
        self.counters: Counter[tuple[str, str]] = Counter()
        self.cancels = NothingCancelled()
        self.cancels.state.begin(PARTITION)
        for message in world.messages(topics.CANCEL):
            self.hear(CancelRecord(message.produced.key, message.value(), message.produced.timestamp_ms or 0))
        self.exact = KeepHandover(
            Settings(), cast(Any, self.table), cast(Any, self.outbox), self.clock, reader=cast(Any, world)
        )
        self.stage = KeepStage(
            cast(Any, self.table),
            cast(Any, self.outbox),
            self.clock,
            self.exact,
            KeepRules(
                PARTITIONS,
                digests=world.digests,
                caps=world.caps,
                rates=Rates({}, {}, world.live),
                outlook=OutlookRules(Rates({}, {}, world.live), PARTITIONS, world.quotas, world.lifetime_of),
                hold_on_disagreement=hold_on_disagreement,
                tzdata=tzdata,
                closing_gather_seconds=world.closing_gather_seconds,
                remember_ms=world.remember_ms,
                mandatory=world.mandatory,
            ),
            counters=self.counters,
            fatal=lambda what, error: self.fatal.append((what, error)),
            cancels=self.cancels,
            call_later=self.timers,
            written=written,
            sharing=sharing,
            earlier=world.earlier,
        )
        self.stage.work = cast(Any, self)
        self.trackers = {tp: Tracker(at.offset or 0, OPEN) for tp, at in world.committed.items()}
        self.alive = True
        self.mortal = world.dangerous

    def true_ms(self) -> int:
        """The time by a clock that nobody has set meanwhile."""
        began_ms, began_at = self._began
        return began_ms + round((self.clock.monotonic_seconds() - began_at) * 1000)

    def hear(self, cancel: CancelRecord) -> None:
        self.cancels.state.apply(PARTITION, [cancel], self.clock.now_ms())

    def waits(self, tp: TP) -> bool:
        return tp in self.busy

    def may_hold_before(self, tp: TP, at_ms: int) -> bool:
        return at_ms >= self.behind.get(tp, at_ms + 1)

    def partitions(self) -> list[TP]:
        return list(self.trackers)

    async def drained(self, partitions: Iterable[TP]) -> None:
        return

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        return {tp: self.world.end(tp.topic) for tp in partitions}

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        if self.world.keepers[-1] is not self:
            return False
        for tp in partitions:
            low = self.trackers[tp].low
            self.world.committed[tp] = Committed(low, self.stage.commit_metadata(tp, low))
        return True

    async def start(self) -> bool:
        """Takes over. False when it was killed on the way, which happens once it has read what is there."""
        self.table.tail()
        assigned = asyncio.create_task(self.stage.assigned(dict(self.world.committed)))
        await settled()
        while not assigned.done():
            for keeper in self.world.keepers[-3:]:
                keeper.outbox.land(self.world.rnd)
            self.table.tail()
            await settled()
            if self._has_read() and not assigned.done():
                await self.commit_now(SOURCES[:1])
                if self.mortal and self.world.rnd.random() < 0.2:
                    assigned.cancel()
                    await asyncio.wait([assigned])
                    self.die()
                    return False
        await assigned
        return True

    def _has_read(self) -> bool:
        firings = self.exact._firings.get(f"{STAGE}/{PARTITION}")
        return firings is not None and firings.started

    async def feed(self, count: int = 1000) -> None:
        for tp, tracker in self.trackers.items():
            records = self.world.records(tp, tracker.next_offset)[:count]
            if records:
                segment = tracker.hand_over(records, tracker.arrive(records))
                await self.stage.handle(Batch(tp, tracker, segment, lambda: None))
        await self.let_run()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timers.fire()
        await self.let_run()

    async def let_run(self) -> None:
        for _ in range(6):
            await settled()
        assert not self.fatal, self.fatal

    async def quiet(self) -> None:
        """Kafka takes everything, and the table knows it."""
        for _ in range(12):
            await self.outbox.acknowledge_all()
            self.table.tail()
            await self.let_run()

    def die(self) -> None:
        self.alive = False
        self.outbox.die(self.world.rnd)
        for tracker in self.trackers.values():
            tracker.lost = True


async def keeper_of(world: KeepWorld) -> Keeper:
    """A keeper that has taken over and heard what was written."""
    keeper = await world.take_over()
    await told(keeper)
    return keeper


async def told(keeper: Keeper, seconds: float = 0.0) -> None:
    """It hears what was written, and time passes."""
    await keeper.feed()
    await keeper.quiet()
    if seconds:
        keeper.world.clock.advance(seconds)
        await keeper.pass_time(seconds)
        await keeper.quiet()
