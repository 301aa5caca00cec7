"""A reporter's sums on their way to `push.report.v1`."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from pushcast.kafka.acks import AckProducer
from pushcast.report import published
from pushcast.report.unpublished import Sums, Unpublished
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.stream.ports import Written
from pushcast.wire import topics

log = structlog.get_logger()

PUBLISH_SECONDS: Final = 5.0
#: Sums of a partition, within 5 seconds.
PUBLISHED_AT_ONCE: Final = 500


async def publish_again(producer: AckProducer, unpublished: Unpublished) -> None:
    """Writes sums that have changed, every 5 seconds, until it is cancelled; what fails is written the next time."""
    while True:
        await asyncio.sleep(PUBLISH_SECONDS)
        sums = await asyncio.to_thread(unpublished.newest, PUBLISHED_AT_ONCE)
        written: list[tuple[Sums, asyncio.Future[Written]]] = []
        try:
            for each in sums:
                value = published.value_of(each.note, each.partition, each.version, time.time_ns() // 1_000_000)
                key = published.key_of(each.note, each.partition)
                written.append((each, producer.put(topics.REPORT, each.partition, key, value)))
        except (Full, OutboxFailed) as error:
            log.warning("not_published", error=str(error))
        if written:
            await asyncio.wait([future for _, future in written], timeout=PUBLISH_SECONDS)
        done = [each for each, future in written if future.done() and future.exception() is None]
        unpublished.published(done)
