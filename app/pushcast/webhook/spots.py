"""The partitions that an endpoint has of its group: where each begins, what is read of it and what is committed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pushcast.kafka.offsets import since, watermarks
from pushcast.webhook.cut import CommitMark, Cut, Line, read_mark
from pushcast.webhook.reading import EventReader

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
#: Events in memory, of all partitions: nothing more is read meanwhile.
MAX_HELD: Final = 5_000
Spot = tuple[str, int]  # topic, partition


class OwnedSpots:
    """A line for each partition. Use it on the thread of its consumer."""

    def __init__(self, name: str, reader: EventReader) -> None:
        self._name = name
        self._reader = reader
        self.lines: dict[Spot, Line] = {}
        self._paused: set[Spot] = set()
        self.lost = 0  # records that had gone before they were read
        self.lag = 0  # records that are written and not yet posted or passed by, as far as was heard

    def take(self, messages: Iterable[Message]) -> None:
        """What a poll brought. Raises KafkaException for an error that no retry mends."""
        now = time.monotonic()
        for message in messages:
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise KafkaException(error)
                if error.code() != KafkaError._PARTITION_EOF:
                    logger.warning("webhook %s cannot read: %s", self._name, error.str())
                continue
            topic, offset = cast(str, message.topic()), cast(int, message.offset())
            line = self.lines.get((topic, cast(int, message.partition())))
            if line is not None and offset >= line.read:
                event = self._reader.event(topic, message.key(), message.value())
                line.take(offset, event, now, message.timestamp()[1])

    @property
    def oldest_ms(self) -> int | None:
        """When the first event that waits was written."""
        return min((at_ms for line in self.lines.values() if (at_ms := line.oldest_ms) is not None), default=None)

    def cuts(self) -> dict[Spot, Cut]:
        """What may be posted now."""
        now = time.monotonic()
        return {spot: cut for spot, line in self.lines.items() if (cut := line.cut(now)) is not None}

    def begin_at(self, consumer: Consumer, spots: Iterable[Spot], from_ms: int, mark: CommitMark) -> None:
        """These once more, from what was recorded since that time."""
        for spot, offset in since(consumer, dict.fromkeys(spots, from_ms), ANSWER_SECONDS).items():
            self.lines[spot] = Line(offset, mark)
            consumer.seek(TopicPartition(*spot, offset))

    def pause(self, consumer: Consumer, *, all_of_them: bool) -> None:
        """Nothing is read that could not be posted: memory stays bounded however long an endpoint fails."""
        waits = all_of_them or sum(line.held for line in self.lines.values()) >= MAX_HELD
        wanted = {spot for spot, line in self.lines.items() if waits or line.full}
        if pause := wanted - self._paused:
            consumer.pause([TopicPartition(*spot) for spot in pause])
        if resume := self._paused - wanted:
            consumer.resume([TopicPartition(*spot) for spot in resume])
        self._paused = wanted

    def commit(self, consumer: Consumer, spots: Iterable[Spot]) -> None:
        """Where these stand, as far as it has changed; returns when Kafka has it."""
        moved = {spot: self.lines[spot] for spot in spots if self.lines[spot].committed != self.lines[spot].position}
        if not moved:
            return
        at = {spot: line.position for spot, line in moved.items()}
        consumer.commit(
            offsets=[TopicPartition(*spot, offset, mark.text()) for spot, (offset, mark) in at.items()],
            asynchronous=False,
        )
        for spot, line in moved.items():
            line.committed = at[spot]

    def commit_new(self, consumer: Consumer) -> None:
        """Those that were never committed."""
        self.commit(consumer, [spot for spot, line in self.lines.items() if line.committed[0] < 0])

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group gave these."""
        asked = [TopicPartition(each.topic, each.partition) for each in partitions]
        for each in consumer.committed(asked, timeout=ANSWER_SECONDS):
            if each.error is not None:
                raise KafkaException(each.error)
            spot = each.topic, each.partition
            first, end = watermarks(consumer, *spot, ANSWER_SECONDS)
            self.lines[spot] = self._line(spot, each, first, end)
        consumer.assign([TopicPartition(*spot, line.first) for spot, line in self.lines.items()])
        self._paused = set()

    def _line(self, spot: Spot, committed: TopicPartition, first: int, end: int) -> Line:
        if committed.offset < 0:
            line = Line(end)  # a new endpoint begins now
            line.committed = -1, CommitMark()  # committed before anything else
            return line
        mark = read_mark(committed.metadata or "")
        if committed.offset > end:
            logger.warning("webhook %s: %s[%d] was made anew; it begins there", self._name, *spot)
            return Line(first, CommitMark(resumed_at=mark.resumed_at))
        if committed.offset < first:
            self.lost += first - committed.offset
            logger.error("webhook %s: %d records of %s[%d] are gone", self._name, first - committed.offset, *spot)
        return Line(max(first, committed.offset), mark)

    def revoked(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        """The group takes all back."""
        try:
            self.commit(consumer, self.lines)
        except KafkaException as error:
            logger.warning("webhook %s could not commit before it gave partitions back: %s", self._name, error)
        self.drop()

    def drop(self) -> None:
        """They belong to another now."""
        self.lines.clear()
        self._paused.clear()

    def ask_lag(self, consumer: Consumer) -> None:
        """As far as the last answers of the brokers told."""
        lag = 0
        for spot, line in self.lines.items():
            _, end = consumer.get_watermark_offsets(TopicPartition(*spot), cached=True)
            lag += max(0, end - line.position[0])
        self.lag = lag
