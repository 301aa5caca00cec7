"""Reads what registrars have told of how often keys have sealed."""

from __future__ import annotations

from confluent_kafka import Message

from pushcast.handover.reading import SpanReader
from pushcast.stream.seal_count import KeyedRecord, Read
from pushcast.wire import topics
from pushcast.wire.sealing.key_seals import PREFIX


def seals_told(reader: SpanReader) -> Read:
    """From the topic's beginning. What it gives raises TailUnreadable."""

    async def read() -> list[KeyedRecord]:
        found: list[KeyedRecord] = []

        def take(message: Message) -> None:
            key = message.key()
            if isinstance(key, bytes) and key.startswith(PREFIX):
                found.append((key, message.value()))

        ends = await reader.ends([(topics.WHERE, 0)])
        await reader.read({spot: (0, end) for spot, end in ends.items()}, take)
        return found

    return read
