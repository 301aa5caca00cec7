"""What leaves a record without an end: failed deliveries for the retry ladder, and dead letters of the last round.

Collected per record, so that a thousand targets that failed together are one retry record and not a thousand. It is
never larger than the record that its targets came from.
"""

from __future__ import annotations

from random import Random

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.send.records import OpenRecord, Parcel
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import PlainRecord, dead_letter
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.retries import DOUBTFUL, Ladder, Rung, foreign, picked, retry_record


class AttemptsExhausted(InvalidInput):
    """Every round of sending failed: `reason` is what the last one came to."""


class Aside:
    """Collects during one turn of the loop; `put` and `put_letters` write everything of a kind under one barrier."""

    def __init__(
        self, outbox: Outbox, ladder: Ladder, random: Random, platform: Platform, lane: Lane, group: str
    ) -> None:
        self._outbox = outbox
        self._ladder = ladder
        self._random = random
        self._platform = platform
        self._lane = lane
        self._group = group
        self._retries: dict[tuple[OpenRecord, Rung, bool], dict[Parcel, list[int]]] = {}
        self._dead: dict[tuple[OpenRecord, str], dict[Parcel, list[int]]] = {}

    def retry(self, parcel: Parcel, target: int, rung: Rung, doubtful: bool) -> None:
        """This target waits on a rung. Its attempt is counted already."""
        self._retries.setdefault((parcel.record, rung, doubtful), {}).setdefault(parcel, []).append(target)

    def dead(self, parcel: Parcel, target: int, reason: str) -> None:
        """This target has no attempt left; its receipt is the caller's."""
        self._dead.setdefault((parcel.record, reason), {}).setdefault(parcel, []).append(target)

    def put(self, barrier: Barrier, now_ms: int) -> None:
        """Writes the retries collected since the last time, each to the partition of its send record."""
        if self._retries:
            retries, self._retries = self._retries, {}
            for (record, rung, doubtful), parcels in retries.items():
                self._put_retry(barrier, record, rung, doubtful, _messages(parcels), now_ms)

    def put_letters(self, barrier: Barrier) -> None:
        """Writes the dead letters collected since the last time, each to the partition of its send record."""
        if self._dead:
            dead, self._dead = self._dead, {}
            for (record, reason), parcels in dead.items():
                self._put_letter(barrier, record, reason, _messages(parcels))

    def _put_retry(
        self, barrier: Barrier, record: OpenRecord, rung: Rung, doubtful: bool, messages: list[Message], now_ms: int
    ) -> None:
        value, headers = retry_record(
            lane=self._lane,
            platform=self._platform,
            messages=messages,
            run=record.run,
            first_seen_at=record.first_seen_at,
            rounds_made=record.round.rounds + 1,
            due_at=self._ladder.due_at(rung, now_ms, self._random),
            doubtful=doubtful,
            sent_from=f"{self._group}|{record.offset}",
            source=record.source,
            carried=foreign(record.headers),
        )
        self._outbox.put(barrier, topics.retry(rung.delay), record.batch.partition, value, None, headers)

    def _put_letter(self, barrier: Barrier, record: OpenRecord, reason: str, messages: list[Message]) -> None:
        batch = SendBatch(self._lane, self._platform, messages, record.run, record.first_seen_at, record.source)
        headers = foreign(record.headers)
        if record.round.doubtful:
            headers.append((DOUBTFUL, b"1"))
        source = PlainRecord(
            record.batch.topic,
            record.batch.partition,
            record.offset,
            record.first_seen_at,
            None,
            encode_batch(batch),
            headers,
        )
        rounds = record.round.rounds + 1
        error = AttemptsExhausted(reason, f"{batch.target_count} deliveries failed in each of {rounds} attempts")
        letter = dead_letter(source, error, stage="send", attempts=rounds)
        self._outbox.put(barrier, *letter)


class NoLadder(Aside):
    """The null object, for a policy without a ladder: nothing waits on a rung, and nobody writes letters."""

    def __init__(self) -> None:
        """Collects nothing."""

    def retry(self, parcel: Parcel, target: int, rung: Rung, doubtful: bool) -> None:
        """Raises AssertionError: such a policy passes nothing on."""
        raise AssertionError("a policy without a ladder passed a target on")

    def dead(self, parcel: Parcel, target: int, reason: str) -> None:
        """Its receipt says it all."""

    def put(self, barrier: Barrier, now_ms: int) -> None:
        """There is nothing."""

    def put_letters(self, barrier: Barrier) -> None:
        """There are none."""


def _messages(parcels: dict[Parcel, list[int]]) -> list[Message]:
    return [each for parcel, targets in parcels.items() for each in picked(parcel.message, targets)]
