"""An endpoint's cursor: a consumer group of its own on a thread of its own, which posts, waits and commits."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx
from confluent_kafka import Consumer, KafkaException

from pushcast.config.doors import Webhook
from pushcast.kafka.clients import member_config, open_consumer
from pushcast.kafka.static_id import static_id
from pushcast.model.errors import PushcastError
from pushcast.stream.ports import Fatal
from pushcast.webhook.cut import MAX_EVENTS, CommitMark, Cut
from pushcast.webhook.events import STREAMS, body_of, request_id
from pushcast.webhook.patience import TAKEN, EndpointPatience, Said, given_up
from pushcast.webhook.post import Poster
from pushcast.webhook.reading import EventReader
from pushcast.webhook.signing import SecretsFile
from pushcast.webhook.spots import OwnedSpots, Spot
from pushcast.wire import groups
from pushcast.wire.control.control import WebhookOrder

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
COMMIT_SECONDS: Final = 5.0
#: So long requests follow each other without a poll. A member that has not polled for 300 s loses its partitions
#: (librdkafka, max.poll.interval.ms): what a slow endpoint had taken since the last commit would be posted to it again.
TURN_SECONDS: Final = 60.0
#: Before a client that failed is made again.
AGAIN_SECONDS: Final = 5.0


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
        self.wanted = wanted
        self.reader = EventReader(name, wanted)
        self.spots = OwnedSpots(name, self.reader)
        static = None if member.slot is None else static_id(member.slot, self.reader.topics)
        self._client = {**client, **member_config(member.session_timeout_seconds, static)}
        self._ports = ports
        self._secrets = SecretsFile(wanted.secret_file)
        self._patience = EndpointPatience(ports.spread)
        self._given_up_at = 0  # when this process said so
        self.results: Counter[str] = Counter()  # tries, by what came of them
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

    @property
    def stands_still(self) -> bool:
        """Whether nothing is posted for now, so that nothing need be read."""
        return self.disabled or self._patience.failures > 0

    def age_seconds(self, now_seconds: float) -> float:
        """Since the oldest event that waits was written; 0 without any. For other threads."""
        oldest_ms = self._oldest_ms
        return 0.0 if oldest_ms is None else max(0.0, now_seconds - oldest_ms / 1000)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                poster = Poster(self.wanted.url, self._ports.transport(), self.wanted.timeout_seconds)
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
        spots = self.spots
        consumer.subscribe(
            self.reader.topics, on_assign=spots.assigned, on_revoke=spots.revoked, on_lost=lambda *_: spots.drop()
        )
        try:
            committed_at = time.monotonic()
            while not self._stop.is_set():
                spots.take(consumer.consume(MAX_EVENTS, POLL_SECONDS))
                spots.commit_new(consumer)
                self._obey(consumer)
                self._post(consumer, runner, poster)
                spots.pause(consumer, all_of_them=self.stands_still)
                self._oldest_ms = spots.oldest_ms
                if time.monotonic() - committed_at >= COMMIT_SECONDS:
                    committed_at = time.monotonic()
                    spots.commit(consumer, spots.lines)
                    spots.ask_lag(consumer)
        finally:
            consumer.close()  # commits by way of `revoked`
            spots.drop()

    def _post(self, consumer: Consumer, runner: asyncio.Runner, poster: Poster) -> None:
        """Every cut that is ready, each in its turn, until one is not taken or the time is over."""
        began = time.monotonic()
        if self.disabled or began < self._patience.again_at:
            return
        ready = {
            spot: cut for spot, line in self.spots.lines.items() if (cut := line.cut(time.monotonic())) is not None
        }
        # Before the first try: whoever comes after a kill must post the same again.
        self.spots.commit(consumer, ready)
        # The oldest first, so that those for which there was no time come first in the next turn.
        for spot, cut in sorted(ready.items(), key=lambda each: self.spots.lines[each[0]].oldest_ms or 0):
            line = self.spots.lines[spot]
            if time.monotonic() - began >= TURN_SECONDS:
                return
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
        line, now_ms = self.spots.lines[spot], _now_ms()
        line.failed(now_ms)
        wait = self._patience.failed(said, time.monotonic())
        if self._patience.failures == 1:
            logger.warning("webhook %s was not taken (%s); tried again in %.0f s", self.name, said.result, wait)
        self.spots.commit(consumer, [spot])
        if (reason := given_up(said, line.mark.failing_since, now_ms)) is not None:
            logger.error("webhook %s is disabled: %s; `pushcast webhook resume %s`", self.name, reason, self.name)
            self._given_up_at = now_ms
            self._ports.give_up(reason)

    def _obey(self, consumer: Consumer) -> None:
        """An order to go on, perhaps from an earlier time, holds for every partition once."""
        order = self._ports.order()
        if order is None or order.state != "on":
            return
        behind = [spot for spot, line in self.spots.lines.items() if line.mark.resumed_at < order.at_ms]
        if not behind:
            return
        self._patience.taken()
        if order.from_ms is None:
            for spot in behind:
                line = self.spots.lines[spot]
                line.mark = line.mark._replace(resumed_at=order.at_ms, failing_since=0)
            return
        self.spots.begin_at(consumer, behind, order.from_ms, CommitMark(resumed_at=order.at_ms))
        self.spots.commit(consumer, behind)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
