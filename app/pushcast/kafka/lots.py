"""Delivery reports of records of one place that were put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushcast.kafka.barrier import Accounts, KafkaBarrier, stamped_ms
from pushcast.stream.ports import Acked

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message


class Lot:
    """Counts the reports of its records, and tells its barrier and the outbox of all that Kafka has with the last one.

    A report is half of what a record costs on a poll thread, which has Python's lock meanwhile: what all of them say
    alike is said once. Until then nobody counts them as acknowledged, and those that Kafka refused are told at once.
    """

    __slots__ = ("_acked", "_barrier", "_end", "_left", "_outbox", "_size", "_stamped_ms", "_topic_partition")

    def __init__(self, outbox: Accounts, barrier: KafkaBarrier, topic: str, partition: int, count: int) -> None:
        """`count`: records that are about to be put."""
        self._outbox = outbox
        self._barrier = barrier
        self._topic_partition = topic, partition
        self._left = count
        self._acked = 0
        self._size = 0  # of the values that Kafka has, in bytes
        self._end = 0  # offset behind the last of them
        self._stamped_ms = -1  # Kafka's time of it

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """As `KafkaBarrier.delivered`, of one of them."""
        outbox = self._outbox
        try:
            with outbox.reporting:
                if error is None and (offset := message.offset()) is not None:
                    self._acked += 1
                    self._size += len(message)
                    self._end = offset + 1  # reports of a partition come in offset order
                else:
                    self._barrier.reported(error, message)
                self._left -= 1
                if not self._left:
                    self._stamped_ms = stamped_ms(message)
                    self._tell()
        except Exception as exc:
            outbox.failed_on_poll_thread(exc)

    def cut(self, count: int) -> None:
        """The last `count` records were not put after all. On the loop."""
        with self._outbox.reporting:
            self._left -= count
            if not self._left:
                self._tell()

    def _tell(self) -> None:
        if self._acked:
            acked = Acked(self._end, self._acked, self._stamped_ms)
            self._outbox.acknowledged(*self._topic_partition, acked, self._size)
            self._barrier.count(self._acked)
