"""Where records enter a stage: admitted, moved to the partition of their key, or buried as dead letters.

One for all stages, so that no record can stop one. Whatever decoding raises is a reason for a dead letter, and a dead
letter that Kafka refuses is put again with less of the original, until nothing is left to refuse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Final

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.words import Reason
from pushcast.stream.batch import TP, Record
from pushcast.stream.errors import RecordRefused
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Outbox
from pushcast.wire.answers.dead_letters import REASON, DeadLetter, dead_letter, without_headers, without_value
from pushcast.wire.headers import APPENDED, FORWARDED, first

logger = logging.getLogger(__name__)

#: Told (counter, word, how many): dead_letters and dead_letters_lost by reason, forwarded by topic, decoder_errors by
#: nothing.
Count = Callable[[str, str, int], None]
Done = Callable[[], None]
_Less = Callable[[DeadLetter, int], DeadLetter]
#: What is put instead of a dead letter that Kafka refused, one after the other.
_LESS: Final[tuple[_Less, ...]] = (without_value, without_headers)


def counting(counters: MutableMapping[tuple[str, str], int]) -> Count:
    """Counts by (counter, word) in `counters`."""

    def count(name: str, word: str, by: int) -> None:
        counters[name, word] = counters.get((name, word), 0) + by

    return count


class Misplaced(Exception):
    """The record lies in another partition than its key's, and was not forwarded yet. `right`: where it belongs."""

    def __init__(self, right: int) -> None:
        super().__init__(right)
        self.right = right


def check_place(record: Record, partitions: int, right: int | None = None) -> None:
    """Returns when the record is in the partition of its key, which is `right` when the caller knows it. Raises
    Misplaced, or InvalidInput (wrong_partition) when it was forwarded once already."""
    if right is None:
        right = partition_of(record.key or b"", partitions)
    if right == record.partition:
        return
    if first(record.headers, FORWARDED) is None:
        raise Misplaced(right)
    raise InvalidInput(
        Reason.WRONG_PARTITION,
        f"the key belongs to partition {right} of {partitions}, and the record was forwarded once already; produce with"
        " the Java default partitioner (murmur2): in librdkafka clients set partitioner=murmur2_random, and check that"
        f" {record.topic} has {partitions} partitions",
        "key",
    )


class Edge:
    """One per stage. Not thread safe: it belongs to the event loop.

    `done` of a record is called once Kafka has what became of it; callers await the outbox's room first.
    """

    def __init__(
        self,
        stage: str,
        outbox: Outbox,
        count: Count,
        flood: FloodGuard | None = None,
        withholds: Callable[[Record], bool] | None = None,
    ) -> None:
        """`withholds`: whether the value of a record must not be in its dead letter; None: never."""
        self._stage = stage
        self._outbox = outbox
        self._count = count
        self._flood = flood
        self._withholds = withholds
        self._told: set[type[Exception]] = set()

    def refusal(self, record: Record, error: Exception) -> InvalidInput:
        """Why a record is a dead letter whose decoding raised this.

        Anything but InvalidInput is a defect of a decoder: it is counted, and the first of each type leaves its
        traceback in the log. The reason names the type alone, because a message may hold what the producer wrote.
        """
        if isinstance(error, InvalidInput):
            return error
        self._count("decoder_errors", "", 1)
        if type(error) not in self._told:
            self._told.add(type(error))
            place = (record.topic, record.partition, record.offset)
            logger.error("%s: a decoder failed on %s[%d]@%d", self._stage, *place, exc_info=error)
        return InvalidInput(Reason.UNDECODABLE, f"decoding raised {type(error).__name__}, a defect of Pushcast")

    def note(self, tp: TP, valid: int, errors: Sequence[InvalidInput] = ()) -> None:
        """Records of this partition were read. Raises Flooded when the share of invalid ones is abnormal."""
        if self._flood is not None:
            self._flood.note(tp, valid, errors)

    def forward(self, record: Record, right: int, done: Done) -> None:
        """Moves a record to the partition of its key; it is a dead letter when one more header makes it too large."""
        barrier = self._outbox.barrier()
        headers = [*record.headers, (FORWARDED, b"%d" % record.partition)]
        if record.timestamp > 0 and first(record.headers, APPENDED) is None:
            headers.append((APPENDED, b"%d" % record.timestamp))
        timestamp = max(0, record.timestamp)
        self._outbox.put(barrier, record.topic, right, record.value, record.key, headers, timestamp)
        self._count("forwarded", record.topic, 1)
        barrier.on_acked(done, partial(self._not_forwarded, record, right, done))

    def _not_forwarded(self, record: Record, right: int, done: Done, refusal: RecordRefused) -> None:
        text = f"the record belongs to partition {right} and is too large to be sent there with one more header"
        self.bury(record, InvalidInput(Reason.TOO_LARGE, f"{text}: {refusal.size_bytes} bytes"), done)

    def bury(self, record: Record, error: InvalidInput, done: Done) -> None:
        """Puts the dead letter: whole, else without its value, else its error headers alone, which say where the
        original lies."""
        self._count("dead_letters", error.reason, 1)
        letter = dead_letter(record, error, stage=self._stage)
        if self._withholds is not None and self._withholds(record):
            letter = without_value(letter, len(record.value or b""))
        self._put(record, letter, _LESS, done)

    def _put(self, record: Record, letter: DeadLetter, less: Sequence[_Less], done: Done) -> None:
        barrier = self._outbox.barrier()
        self._outbox.put(barrier, *letter)
        barrier.on_acked(done, partial(self._refused, record, letter, less, done))

    def _refused(
        self, record: Record, letter: DeadLetter, less: Sequence[_Less], done: Done, refusal: RecordRefused
    ) -> None:
        if less:
            self._put(record, less[0](letter, refusal.size_bytes), less[1:], done)
            return
        # Not again: a topic that does not even take the error headers would stop the partition for ever.
        self._count("dead_letters_lost", refusal.reason, 1)
        place = (record.topic, record.partition, record.offset)
        reason = (first(letter.headers, REASON) or b"").decode()
        logger.error("dead letter lost: %s[%d]@%d (%s): %s", *place, reason, refusal)
        done()
