"""What would become of one event now: the planner's own answer, without a record of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from pushcast.audit.rehearsal import Rehearsal
from pushcast.audit.rehearsed_fates import EventFate, Past
from pushcast.config.settings import Settings
from pushcast.kafka.intake import every_row_of_user
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.times import rfc3339


def rehearse(settings: Settings, lane: Lane, user: str, value: bytes, now_ms: int) -> dict[str, Any]:
    """`value`: a valid event of the user. Devices and preferences are those of now; what waits is followed to its time.
    Digests, caps and rates see this event alone, and cancels are not asked. Nothing is written.

    Blocks. Raises PushcastError and KafkaException when Kafka does not answer.
    """
    partition = partition_of(user.encode(), settings.kafka.partitions)
    rehearsal = Rehearsal(settings, partition, {user: every_row_of_user(settings, user)})
    [fate] = asyncio.run(rehearsal.fates([Past(topics.notification(lane), 0, user.encode(), value, (), now_ms)]))
    return shown(fate)


def shown(fate: EventFate) -> dict[str, Any]:
    """For JSON. `ends`: deliveries that end otherwise than by leaving, or the reason why there are none."""
    return {
        "deliveries": len(fate.leaves),
        "per_platform": dict(sorted(fate.platforms.items())),
        "ends": dict(sorted(Counter(fate.ends).items())),
        "held": list(dict.fromkeys(fate.held)),
        "leaves_at": rfc3339(min(fate.leaves)) if fate.leaves else None,
        "last_leaves_at": rfc3339(max(fate.leaves)) if fate.leaves else None,
    }
