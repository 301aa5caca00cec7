"""Counters that stand at zero from the start: `rate()` misses the first step of a series that appears with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pushcast.model.words import Reason
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample

#: What may be wrong with a record, whoever reads it.
LETTER_REASONS: Final = (
    *(Reason.KEY_MISSING, Reason.KEY_NOT_UTF8, Reason.KEY_INVALID, Reason.TOMBSTONE, Reason.NOT_JSON),
    *(Reason.UNKNOWN_FRAME, Reason.UNKNOWN_SCHEMA, Reason.UNDECODABLE, Reason.UNKNOWN_FIELD, Reason.INVALID_FIELD),
    *(Reason.RESERVED_DATA_KEY, Reason.UNKNOWN_APP, Reason.UNKNOWN_CLASS, Reason.WRONG_PARTITION, Reason.TOO_LARGE),
    Reason.PAYLOAD_TOO_LARGE,
)


def of_stage(role: str, lane: str) -> Iterator[Sample]:
    """What every stage counts. `lane` is empty for roles without one."""
    for name in (Name.RECORDS_CONSUMED, Name.DECODER_ERRORS, Name.FORWARDED):
        yield Sample(name, 0, (role, lane))
    for reason in LETTER_REASONS:
        yield Sample(Name.DEAD_LETTERS, 0, (role, lane, reason))


def of_sender(apps: Iterable[str], platform: str, lane: str) -> Iterator[Sample]:
    """What a sender counts of each app. Other outcomes have reasons that only the provider knows."""
    for app in apps:
        yield Sample(Name.OUTCOMES, 0, (app, platform, lane, "accepted", ""))
    for name in (Name.DROPPED, Name.SEND_VOID, Name.SKIPPED):
        yield Sample(name, 0, (platform, lane))
