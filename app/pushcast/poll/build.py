"""Puts the poller of a platform together from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from pushcast.config.settings import Settings
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.words import Platform
from pushcast.poll.agent import PollStage
from pushcast.poll.figures import PollCounters
from pushcast.providers.expo.receipts import ReceiptSource
from pushcast.providers.suspicion import SuspicionLimits
from pushcast.stream.batch import Bounds
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import CallLater, Fatal, Outbox

_MEMORY_BYTES = 32 << 20
#: Of one fetch answer per partition; a larger record still comes, alone.
FETCH_BYTES = 256 << 10


def build(
    settings: Settings,
    platform: Platform,
    sources: Mapping[str, ReceiptSource],
    outbox: Outbox,
    *,
    clock: Clock | None = None,
    figures: PollCounters | None = None,
    random: Random | None = None,
    fatal: Fatal = end_process,
    call_later: CallLater | None = None,
) -> PollStage:
    """The stage for `topics.ticket(platform)` in the group `groups.poll(platform)`. `sources`: started, by app."""
    clock = clock or SystemClock()
    return PollStage(
        platform=platform,
        sources=sources,
        outbox=outbox,
        clock=clock,
        flood=FloodGuard(settings.flood, clock),
        limits=SuspicionLimits(settings.send.breaker.least_tokens, settings.send.breaker.invalid_share),
        invalid_in_a_row=settings.send.breaker.invalid_in_a_row,
        first_seconds=settings.tickets.ask_after_seconds,
        random=random or Random(),
        figures=figures or PollCounters(),
        fatal=fatal,
        call_later=call_later,
        schema_generation=settings.schemas.write,
    )


def bounds(settings: Settings) -> Bounds:
    """Of each partition: together 32 MB of records that wait, and one fetch answer on top of each."""
    return Bounds(records=5_000, bytes=max(128 << 10, _MEMORY_BYTES // settings.kafka.partitions))
