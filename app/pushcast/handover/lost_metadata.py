"""Reads the epoch floors of partitions whose commit metadata is lost (`floors` says what they are for)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import cast

from confluent_kafka import Message

from pushcast.handover.fences import author_of
from pushcast.handover.floors import FloorSearch
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import TP

logger = logging.getLogger(__name__)


def tell_gone(stage: str, partitions: Sequence[TP]) -> None:
    """Logs that the group has no offset of these, although a predecessor wrote for them."""
    logger.warning(
        "%s: the group has no offset of %s any more: they were deleted, or the broker forgot them "
        "(offsets.retention.minutes). These are read from their beginning, and what was handled before is "
        "handled again (docs/operations.md)",
        stage,
        ", ".join(f"{tp.topic}[{tp.partition}]" for tp in sorted(partitions)),
    )


async def floors_of(
    unclaimed: Mapping[TP, int | None], origin: Callable[[TP], str], topics: Sequence[str], reader: SpanReader
) -> dict[TP, int]:
    """Greatest epochs in the outputs `topics` of these partitions; 0 for one that nobody had before.

    `unclaimed`: with the offset that an operator set; None: the group has none. Raises TailUnreadable.
    """
    origins: dict[int, list[str]] = {}
    for tp in unclaimed:
        origins.setdefault(tp.partition, []).append(origin(tp))
    never = {origin(tp) for tp, offset in unclaimed.items() if offset is None}
    ends = await reader.written([(topic, partition) for partition in origins for topic in topics])
    searches = {
        spot: FloorSearch(origins[spot[1]], end, never.intersection(origins[spot[1]])) for spot, end in ends.items()
    }

    def see(message: Message) -> None:
        search = searches[cast(str, message.topic()), cast(int, message.partition())]
        with suppress(InvalidInput):  # nobody's: a stage of ours writes both headers
            search.see(author_of(headers_of(message)))

    while spans := {spot: search.span for spot, search in searches.items() if search.span is not None}:
        await reader.read(spans, see)
        for spot in spans:
            searches[spot].next_block()
    return {tp: max(searches[topic, tp.partition].floor(origin(tp)) for topic in topics) for tp in unclaimed}
