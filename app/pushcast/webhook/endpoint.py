"""An endpoint's cursor: a consumer group of its own on a thread of its own, which posts, waits and commits."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

import httpx
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pushcast.config.doors import Webhook
from pushcast.kafka.clients import member_config, open_consumer
from pushcast.kafka.offsets import since, watermarks
from pushcast.kafka.static_id import static_id
from pushcast.model.errors import InvalidInput, PushcastError
from pushcast.stream.ports import Fatal
from pushcast.webhook.cut import MAX_EVENTS, CommitMark, Cut, Event, Line, read_mark
from pushcast.webhook.events import STREAMS, Stream, body_of, request_id
from pushcast.webhook.patience import TAKEN, EndpointPatience, Said, given_up
from pushcast.webhook.post import Poster
from pushcast.webhook.signing import SecretsFile
from pushcast.wire import groups
from pushcast.wire.control import WebhookOrder

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
COMMIT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
#: Before a client that failed is made again.
AGAIN_SECONDS: Final = 5.0
#: Events in memory, of all partitions: nothing more is read meanwhile.
MAX_HELD: Final = 5_000
Spot = tuple[str, int]  # topic, partition


class GroupMembership(NamedTuple):
    """How it belongs to its group. `slot`: its stable name there; None: every start is a new member."""

    slot: str | None
    session_timeout_seconds: float


class Ports(NamedTuple):
    """What an endpoint needs of its process. All are called on its thread.

    `order`: what was last said of it in push.control.v1. `give_up`: says there why it is disabled. `transport`: makes
    the way out; on the loop of the thread. `spread`: a random number between two.
    """

    order: Callable[[], WebhookOrder | None]
    give_up: Callable[[str], None]
    transport: Callable[[], httpx.AsyncBaseTransport]
    spread: Callable[[float, float], float]
    fatal: Fatal


class WebhookEndpoint:
    """Runs until `close`. What one endpoint does or does not take delays no other."""

    def __init__(
        self, name: str, wanted: Webhook, client: Mapping[str, Any], member: GroupMembership, ports: Ports
    ) -> None:
        """Raises ConfigurationError for a file of secrets that cannot be used."""
        self.name = name
        self._wanted = wanted
        self._streams: dict[str, list[Stream]] = {}  # by topic
        for each in wanted.events:
            self._streams.setdefault(STREAMS[each].topic, []).append(STREAMS[each])
        static = None if member.slot is None else static_id(member.slot, self._streams)
        self._client = {**client, **member_config(member.session_timeout_seconds, static)}
        self._ports = ports
        self._secrets = SecretsFile(wanted.secret_file)
        self._patience = EndpointPatience(ports.spread)
        self._lines: dict[Spot, Line] = {}
        self._paused: set[Spot] = set()
        self._given_up_at = 0  # when this process said so
        self.results: Counter[str] = Counter()  # tries, by what came of them
        self.unreadable: Counter[str] = Counter()  # records, by reason
        self.lost = 0  # records that had gone before they were read
        self.lag = 0  # records that are written and not yet posted or passed by, as far as was heard
        self._oldest_ms: int | None = None  # when the first event that waits was written
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"webhook-{name}", daemon=True)

    def start(self) -> None:
        """Begins to post."""
        self._thread.start()

    def close(self) -> None:
        """Blocks until the thread has ended: at most one request and its time-out."""
        self._stop.set()
        self._thread.join()

    @property
    def started(self) -> bool:
        """Whether there is a thread to wait for."""
        return self._thread.ident is not None

    @property
    def failures(self) -> int:
        """Tries in a row that were not taken."""
        return self._patience.failures

    @property
    def disabled(self) -> bool:
        """Whether nothing is posted until an operator says so."""
        order = self._ports.order()
        said_at = 0 if order is None else order.at_ms
        return self._given_up_at > said_at or (order is not None and order.state == "disabled")

    def age_seconds(self, now_seconds: float) -> float:
        """Since the oldest event that waits was written; 0 without any. For other threads."""
        oldest_ms = self._oldest_ms
        return 0.0 if oldest_ms is None else max(0.0, now_seconds - oldest_ms / 1000)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                poster = Poster(self._wanted.url, self._ports.transport(), self._wanted.timeout_seconds)
                while not self._stop.is_set():
                    try:
                        self._follow(runner, poster)
                    except (KafkaException, PushcastError) as error:
                        logger.warning("webhook %s begins again with a new client: %s", self.name, error)
                        self._stop.wait(AGAIN_SECONDS)
                runner.run(poster.close())
        except Exception as error:
            self._ports.fatal(f"webhook {self.name}", error)

    def _follow(self, runner: asyncio.Runner, poster: Poster) -> None:
        consumer = open_consumer(
            self._client,
            groups.webhook(self.name),
            auto_offset_reset="earliest",
            queued_max_messages_kbytes=4096,
            fetch_wait_max_ms=200,
        )
        consumer.subscribe(
            sorted(self._streams), on_assign=self._assigned, on_revoke=self._revoked, on_lost=lambda *_: self._drop()
        )
        try:
            committed_at = time.monotonic()
            while not self._stop.is_set():
                self._take(consumer.consume(MAX_EVENTS, POLL_SECONDS))
                self._commit(consumer, [spot for spot, line in self._lines.items() if line.committed[0] < 0])
                self._obey(consumer)
                self._post(consumer, runner, poster)
                self._throttle(consumer)
                waiting = (line.oldest_ms for line in self._lines.values())
                self._oldest_ms = min((at_ms for at_ms in waiting if at_ms is not None), default=None)
                if time.monotonic() - committed_at >= COMMIT_SECONDS:
                    committed_at = time.monotonic()
                    self._commit(consumer, self._lines)
                    self._ask_lag(consumer)
        finally:
            consumer.close()  # commits by way of `_revoked`
            self._drop()

    def _take(self, messages: Iterable[Message]) -> None:
        now = time.monotonic()
        for message in messages:
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaException(error)
                if error.code() != KafkaError._PARTITION_EOF:
                    logger.warning("webhook %s cannot read: %s", self.name, error.str())
                continue
            topic = cast(str, message.topic())
            line = self._lines.get((topic, cast(int, message.partition())))
            if line is not None and cast(int, message.offset()) >= line.read:
                event = self._event(topic, message.key(), message.value())
                line.take(cast(int, message.offset()), event, now, message.timestamp()[1])

    def _event(self, topic: str, key: bytes | None, value: bytes | None) -> tuple[str, Event] | None:
        if value is None:
            return None  # a fence, or a tombstone
        try:
            for stream in self._streams[topic]:
                if (event := stream.read(self._wanted, key, value)) is not None:
                    return stream.type, event
        except InvalidInput as error:
            if not self.unreadable[error.reason]:
                logger.warning("webhook %s passes by records of %s: %s", self.name, topic, error)
            self.unreadable[error.reason] += 1
        return None

    def _post(self, consumer: Consumer, runner: asyncio.Runner, poster: Poster) -> None:
        """Every cut that is ready, each in its turn, until one is not taken."""
        if self.disabled or time.monotonic() < self._patience.again_at:
            return
        ready = {spot: cut for spot, line in self._lines.items() if (cut := line.cut(time.monotonic())) is not None}
        # Before the first try: whoever comes after a kill must post the same again.
        self._commit(consumer, ready)
        for spot, cut in ready.items():
            line = self._lines[spot]
            if cut.events and not self._stop.is_set():
                said = runner.run(self._try(poster, spot, cut))
                self.results[said.result] += 1
                if said.result != TAKEN:
                    self._failed(consumer, spot, said)
                    return
                if self._patience.failures:
                    logger.info("webhook %s is taken again after %d tries", self.name, self._patience.failures)
                self._patience.taken()
            elif cut.events:
                return
            line.taken(time.monotonic())

    async def _try(self, poster: Poster, spot: Spot, cut: Cut) -> Said:
        stream = STREAMS[cut.type]
        body = body_of(stream, spot[1], cut)
        return await poster.post(request_id(self.name, stream, spot[1], cut), body, self._secrets.now(), time.time())

    def _failed(self, consumer: Consumer, spot: Spot, said: Said) -> None:
        line, now_ms = self._lines[spot], _now_ms()
        line.failed(now_ms)
        wait = self._patience.failed(said, time.monotonic())
        if self._patience.failures == 1:
            logger.warning("webhook %s was not taken (%s); tried again in %.0f s", self.name, said.result, wait)
        self._commit(consumer, [spot])
        if (reason := given_up(said, line.mark.failing_since, now_ms)) is not None:
            logger.error("webhook %s is disabled: %s; `pushcast webhook resume %s`", self.name, reason, self.name)
            self._given_up_at = now_ms
            self._ports.give_up(reason)

    def _obey(self, consumer: Consumer) -> None:
        """An order to go on, perhaps from an earlier time, holds for every partition once."""
        order = self._ports.order()
        if order is None or order.state != "on":
            return
        behind = [spot for spot, line in self._lines.items() if line.mark.resumed_at < order.at_ms]
        if not behind:
            return
        self._patience.taken()
        if order.from_ms is None:
            for spot in behind:
                line = self._lines[spot]
                line.mark = line.mark._replace(resumed_at=order.at_ms, failing_since=0)
            return
        for spot, offset in since(consumer, dict.fromkeys(behind, order.from_ms), ANSWER_SECONDS).items():
            self._lines[spot] = Line(offset, CommitMark(resumed_at=order.at_ms))
            consumer.seek(TopicPartition(*spot, offset))
        self._commit(consumer, behind)

    def _throttle(self, consumer: Consumer) -> None:
        """Nothing is read that could not be posted: memory stays bounded however long an endpoint fails."""
        waits = self.disabled or self._patience.failures > 0
        waits = waits or sum(line.held for line in self._lines.values()) >= MAX_HELD
        wanted = {spot for spot, line in self._lines.items() if waits or line.full}
        if pause := wanted - self._paused:
            consumer.pause([TopicPartition(*spot) for spot in pause])
        if resume := self._paused - wanted:
            consumer.resume([TopicPartition(*spot) for spot in resume])
        self._paused = wanted

    def _commit(self, consumer: Consumer, spots: Iterable[Spot]) -> None:
        moved = {spot: self._lines[spot] for spot in spots if self._lines[spot].committed != self._lines[spot].position}
        if not moved:
            return
        at = {spot: line.position for spot, line in moved.items()}
        consumer.commit(
            offsets=[TopicPartition(*spot, offset, mark.text()) for spot, (offset, mark) in at.items()],
            asynchronous=False,
        )
        for spot, line in moved.items():
            line.committed = at[spot]

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        asked = [TopicPartition(each.topic, each.partition) for each in partitions]
        for each in consumer.committed(asked, timeout=ANSWER_SECONDS):
            if each.error is not None:
                raise KafkaException(each.error)
            spot = each.topic, each.partition
            first, end = watermarks(consumer, *spot, ANSWER_SECONDS)
            self._lines[spot] = self._line(spot, each, first, end)
        consumer.assign([TopicPartition(*spot, line.first) for spot, line in self._lines.items()])
        self._paused = set()

    def _line(self, spot: Spot, committed: TopicPartition, first: int, end: int) -> Line:
        if committed.offset < 0:
            line = Line(end)  # a new endpoint begins now
            line.committed = -1, CommitMark()  # committed before anything else
            return line
        mark = read_mark(committed.metadata or "")
        if committed.offset > end:
            logger.warning("webhook %s: %s[%d] was made anew; it begins there", self.name, *spot)
            return Line(first, CommitMark(resumed_at=mark.resumed_at))
        if committed.offset < first:
            self.lost += first - committed.offset
            logger.error("webhook %s: %d records of %s[%d] are gone", self.name, first - committed.offset, *spot)
        return Line(max(first, committed.offset), mark)

    def _revoked(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        try:
            self._commit(consumer, self._lines)
        except KafkaException as error:
            logger.warning("webhook %s could not commit before it gave partitions back: %s", self.name, error)
        self._drop()

    def _drop(self) -> None:
        self._lines.clear()
        self._paused.clear()

    def _ask_lag(self, consumer: Consumer) -> None:
        lag = 0
        for spot, line in self._lines.items():
            _, end = consumer.get_watermark_offsets(TopicPartition(*spot), cached=True)
            lag += max(0, end - line.position[0])
        self.lag = lag


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
