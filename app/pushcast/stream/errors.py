"""Errors of the Kafka layer.

KafkaLayerError
├── Full                 more was put into the outbox than its hard bound: a caller forgot `await outbox.room()`
├── RecordRefused        Kafka will never take this record: its barrier fails, the process goes on
│   └── RecordTooLarge   … because it is larger than the topic's `max.message.bytes`
├── Flooded              most of a partition is invalid (`stream.flood`): the process ends unacknowledged, exit code 65
└── OutboxFailed         the producer is beyond repair: the process ends unacknowledged
"""

from __future__ import annotations

from pushcast.model.errors import PushcastError


class KafkaLayerError(PushcastError):
    """Base of what the Kafka layer raises on purpose."""


class Full(KafkaLayerError):
    """The outbox holds more than its hard bound. A programming error: `room()` was not awaited."""


class RecordRefused(KafkaLayerError):
    """A record that Kafka refuses for good. `reason` is the public code for a dead letter."""

    def __init__(self, reason: str, topic: str, partition: int, size_bytes: int, detail: str) -> None:
        super().__init__(f"{topic}[{partition}] refused a record of {size_bytes} bytes: {detail}")
        self.reason = reason
        self.topic = topic
        self.partition = partition
        self.size_bytes = size_bytes


class RecordTooLarge(RecordRefused):
    """The record exceeds the topic's `max.message.bytes` (or the producer's own ceiling)."""

    def __init__(self, topic: str, partition: int, size_bytes: int, detail: str) -> None:
        super().__init__("record_too_large", topic, partition, size_bytes, detail)


class OutboxFailed(KafkaLayerError):
    """The producer met an error that no retry can mend (fencing, authorization, an unknown topic)."""


class Flooded(KafkaLayerError):
    """Most of what a partition held lately is invalid. It ends the process unacknowledged, with its own exit code.

    A process that is started again stops again, until the input is better or the setting is changed.
    """

    #: EX_DATAERR of sysexits.h: the input data was incorrect.
    exit_code = 65
