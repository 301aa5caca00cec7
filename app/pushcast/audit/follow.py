"""Follows single notifications to their receipts, for `pushcast send --wait`."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, cast

import orjson
from confluent_kafka import TopicPartition

from pushcast.audit.left_out import LeftOutRecords
from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.offsets import since
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane, Outcome, Source
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import PUSH, STREAMS
from pushcast.wire.answers.receipts import Planned, decode_planned, decode_receipt, takes_place
from pushcast.wire.headers import first
from pushcast.wire.keys import user_of
from pushcast.wire.times import rfc3339

REASON, MESSAGE = PUSH + "reason", STREAMS + "message"
Headers = Sequence[tuple[str, bytes | None]]


#: The account in a receipt.
_ACCOUNT = ("lane", "source", "source_partition", "source_offset", "notification_id")


class _Account(NamedTuple):
    lane: str
    source: int
    partition: int
    offset: int
    notification: str


class FollowedNotes:
    """Books of a few notifications, given as (user, id). Pure.

    A planned record names no user, so one of another user with the same id counts too: it ends like the others.
    """

    def __init__(self, wanted: Collection[tuple[str, str]]) -> None:
        self._wanted = set(wanted)
        self._ids = {note for _, note in wanted}
        self._planned: dict[_Account, int] = {}  # to deliveries
        self._held: dict[str, int] = {}  # by id: when the keeper lets it go, in milliseconds since the epoch
        self._why: dict[str, str] = {}  # by id: what it waits for
        self._nothing: dict[_Account, str] = {}  # why nothing was planned, as of a duplicate
        self._let_go: set[str] = set()
        self._ended: dict[_Account, set[str]] = {}
        self._receipts: dict[str, dict[str, Any]] = {}
        self._dead: dict[tuple[str, str], dict[str, Any]] = {}  # by (user, id)

    def planned(self, partition: int, planned: Planned) -> None:
        """A planned record; for the same account the last one counts."""
        for (offset, note, total, reason), facts in zip(planned.rows(), planned.facts, strict=True):
            if note not in self._ids or facts.broadcast:
                continue
            self._planned[_Account(planned.lane, planned.source, partition, offset, note)] = total
            if facts.held:
                self._held[note], self._why[note] = facts.due_at, reason
                continue
            if planned.source == Source.DUE:
                self._let_go.add(note)
            if not total and reason:
                self._nothing[_Account(planned.lane, planned.source, partition, offset, note)] = reason

    def receipt(self, receipt: dict[str, Any]) -> None:
        """A terminal receipt, of whatever notification."""
        if receipt["notification_id"] not in self._ids:
            return
        account = _Account(*(receipt[name] for name in _ACCOUNT))
        self._ended.setdefault(account, set()).add(receipt["delivery_id"])
        if (receipt["user"], receipt["notification_id"]) in self._wanted:
            known = self._receipts.get(receipt["delivery_id"])
            if takes_place(receipt["run"], None if known is None else (known["run"], known["outcome"])):
                self._receipts[receipt["delivery_id"]] = receipt

    def dead_letter(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """A dead letter of an intake topic, of whatever notification. Known when it is JSON, as `send` writes it."""
        try:
            event = orjson.loads(value or b"null")
            wanted = (user_of(key), str(event["id"]))
        except (ValueError, TypeError, KeyError, InvalidInput):
            return  # somebody else's: those that are followed have a key and an id
        if wanted in self._wanted:
            user, note = wanted
            reason, message = (_text(headers, name) for name in (REASON, MESSAGE))
            self._dead[wanted] = {"user": user, "id": note, "reason": reason, "message": message}

    @property
    def finished(self) -> bool:
        """Everything was planned or refused, nothing is held any more, and every planned delivery has its receipt."""
        return (
            not self.held
            and len(self._planned) + len(self._dead) >= len(self._wanted)
            and all(len(self._ended.get(account, ())) >= total for account, total in self._planned.items())
        )

    @property
    def held(self) -> dict[str, int]:
        """What the keeper holds, or a part of it: by id, when it is due, in milliseconds since the epoch."""
        return {note: due_at for note, due_at in self._held.items() if note not in self._let_go}

    @property
    def held_because(self) -> dict[str, str]:
        """What they wait for, by id: the reason of the planned record."""
        return {note: self._why[note] for note in self.held}

    @property
    def planned_count(self) -> int:
        """Deliveries that were planned."""
        return sum(self._planned.values())

    @property
    def ended_count(self) -> int:
        """Of those, how many have a receipt."""
        return sum(len(self._ended.get(account, ())) for account in self._planned)

    @property
    def all_accepted(self) -> bool:
        """It is finished, there was a delivery, and providers took all of them."""
        outcomes = {receipt["outcome"] for receipt in self._receipts.values()}
        return self.finished and not self._dead and outcomes == {Outcome.ACCEPTED}

    @property
    def receipts(self) -> list[dict[str, Any]]:
        """One per delivery of what is followed."""
        return list(self._receipts.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `planned` and `ended` count deliveries."""
        return {
            "finished": self.finished,
            "planned": self.planned_count,
            "ended": self.ended_count,
            "held": {note: rfc3339(due_at) for note, due_at in self.held.items()},
            "held_because": self.held_because,
            "not_planned": {account.notification: reason for account, reason in self._nothing.items()},
            "receipts": self.receipts,
            "dead_letters": list(self._dead.values()),
        }


def _text(headers: Headers, name: str) -> str:
    return (first(headers, name) or b"").decode(errors="replace")


def follow(settings: Settings, wanted: set[tuple[str, str]], since_ms: int, timeout_seconds: float) -> FollowedNotes:
    """What became of the notifications `wanted`, given as (user, id). Blocks until all are finished, or the timeout.

    Raises PushcastError when Kafka does not say where to begin.
    """
    partitions = sorted({partition_of(user.encode(), settings.kafka.partitions) for user, _ in wanted})
    client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
    consumer = open_consumer(client, "pushcast-follow", fetch_wait_max_ms=50)
    fences: dict[tuple[str, int], Fences] = {}
    followed, left_out = FollowedNotes(wanted), LeftOutRecords()
    try:
        dead = {topics.dead_letter(topics.notification(lane)) for lane in Lane}
        begin = {(topic, each): since_ms for topic in (topics.PLANNED, topics.RECEIPT, *dead) for each in partitions}
        consumer.assign([TopicPartition(*spot, offset) for spot, offset in since(consumer, begin).items()])
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.1):
                value = message.value()
                if message.error() is not None:
                    continue
                seen = fences.setdefault((str(message.topic()), cast(int, message.partition())), Fences())
                headers = headers_of(message)
                counts = seen.stands(headers, cast(int, message.offset()))
                if value is None:
                    continue
                if message.topic() in dead:  # its headers are the refused record's: nothing voids the letter by them
                    followed.dead_letter(message.key(), value, headers)
                elif not counts:
                    continue
                elif message.topic() == topics.PLANNED:
                    if (planned := left_out.decoded(message, decode_planned)) is not None:
                        followed.planned(message.partition() or 0, planned)
                elif (receipt := left_out.decoded(message, decode_receipt)) is not None:
                    followed.receipt(receipt)
            if followed.finished:
                break
        return followed
    finally:
        consumer.close()
