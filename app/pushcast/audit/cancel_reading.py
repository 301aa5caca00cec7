"""Reads what a cancel has come to: a user's notifications, or a campaign of all users."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from confluent_kafka import Message

from pushcast.audit.cancel_report import CancelReport
from pushcast.audit.left_out import LeftOutRecords
from pushcast.audit.why import case_of
from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_planned, decode_receipt


def of_user(settings: Settings, user: str, ids: Iterable[str]) -> CancelReport:
    """Reads one partition of each topic for each id; blocks. Raises KafkaException, TailUnreadable."""
    report = CancelReport()
    for note_id in ids:
        report.case(case_of(settings, user, note_id)[0])
    return report


def of_campaign(settings: Settings, campaign: str) -> CancelReport:
    """Reads all planned records and receipts that there are; blocks. Raises KafkaException, TailUnreadable."""
    kafka = settings.kafka
    reader = SpanReader(kafka.bootstrap_servers, kafka.security)
    spots = [(topic, number) for topic in (topics.PLANNED, topics.RECEIPT) for number in range(kafka.partitions)]
    report, needle, left_out = CancelReport(), campaign.encode(), LeftOutRecords()
    fences = {spot: Fences() for spot in spots}

    def take(message: Message) -> None:
        topic, partition = cast(str, message.topic()), cast(int, message.partition())
        counts = fences[topic, partition].stands(headers_of(message), cast(int, message.offset()))
        value = message.value()
        if not counts or value is None or needle not in value:
            return
        if topic == topics.PLANNED:
            if (planned := left_out.decoded(message, decode_planned)) is not None:
                report.planned_of(campaign, partition, planned)
        elif (receipt := left_out.decoded(message, decode_receipt)) is not None and receipt["campaign"] == campaign:
            report.receipt(receipt)

    async def read() -> None:
        ends = await reader.ends(spots)
        await reader.read({spot: (0, end) for spot, end in ends.items()}, take)

    asyncio.run(read())
    return report
