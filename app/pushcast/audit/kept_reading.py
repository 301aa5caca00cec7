"""Reads what the keeper holds for a user: its rows, and the records that it has not read yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import cast

from confluent_kafka import Message

from pushcast.audit.kept import DeviceWait, KeptPush, of_record, of_timer, waits_for
from pushcast.audit.spans import positions_of
from pushcast.audit.timers import timers_of
from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.register.history import KnownDevice
from pushcast.wire import groups, topics
from pushcast.wire.answers.receipts import decode_planned
from pushcast.wire.configured_schemas import schemas_for_tool
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.waiting.notices import is_notice


def kept_of(settings: Settings, user: str) -> list[KeptPush]:
    """What waits for a user. Reads the user's whole partition of the keeper; blocks. Raises TailUnreadable.

    Records before rows: of what the keeper takes in between its row counts."""
    kept = asyncio.run(_unread(settings, user))
    for waiting in timers_of(settings, user):
        kept.pop(waiting.timer.name, None)
        if waiting.timer.waits and not waiting.timer.kind:  # the keeper's own removals and numbers are no pushes
            with contextlib.suppress(InvalidInput):
                kept[waiting.timer.name] = of_timer(user, waiting.notification, waiting.timer)
    return list(kept.values())


async def _unread(settings: Settings, user: str) -> dict[str, KeptPush]:
    """By name of the timer that each becomes."""
    kafka = settings.kafka
    partition = partition_of(user.encode(), kafka.partitions)
    spots = {(topics.keep(lane), partition): lane for lane in Lane}
    positions = positions_of(settings)
    committed = await asyncio.to_thread(positions.committed, groups.KEEP, spots)
    reader = SpanReader(kafka.bootstrap_servers, kafka.security)
    found: dict[str, KeptPush] = {}
    fences = {spot: Fences() for spot in spots}

    def take(message: Message) -> None:
        spot = cast(str, message.topic()), cast(int, message.partition())
        headers, value, offset = headers_of(message), message.value(), cast(int, message.offset())
        counts = fences[spot].stands(headers, offset)
        if counts and value is not None and message.key() == user.encode() and not is_notice(headers):
            with contextlib.suppress(InvalidInput):  # a dead letter, or about to be one
                found[f"{spots[spot]}|{offset}"] = of_record(user, str(spots[spot]), headers, value)

    ends = await reader.ends(spots)
    await reader.read({spot: (committed.get(spot, 0), end) for spot, end in ends.items()}, take)
    return found


def waits_of(settings: Settings, devices: Iterable[KnownDevice]) -> list[DeviceWait]:
    """What devices wait for, by when it is due. Reads one partition of the keeper for each user; blocks.

    Raises TailUnreadable."""
    schemas = schemas_for_tool(settings)
    decode = NotificationDecoder(settings.apps, class_rules(settings.classes), schemas).decode
    kept: dict[str, list[KeptPush]] = {}
    found: list[DeviceWait] = []
    for device in sorted(set(devices)):
        if device.user not in kept:
            kept[device.user] = _explained(settings, kept_of(settings, device.user))
        found += waits_for(
            kept[device.user],
            device.app,
            device.device,
            lambda it: decode(it.user, it.event, it.written_at).app,
        )
    return sorted(found, key=lambda wait: (wait.due_at, wait.id))


def _explained(settings: Settings, kept: list[KeptPush]) -> list[KeptPush]:
    """With the words of their planned records, where the keeper's have none."""
    ids = {each.id for each in kept if each.reason is None}
    if not ids:
        return kept
    reasons = asyncio.run(_planned_reasons(settings, kept[0].user, ids))
    return [each._replace(reason=reasons.get(each.id)) if each.reason is None else each for each in kept]


async def _planned_reasons(settings: Settings, user: str, ids: Collection[str]) -> Mapping[str, str]:
    """Why planners gave notifications away, by id. Another user's may have the same one: then both words are said."""
    kafka = settings.kafka
    reader = SpanReader(kafka.bootstrap_servers, kafka.security)
    spots = [(topics.PLANNED, partition_of(user.encode(), kafka.partitions))]
    needles = [note.encode() for note in ids]
    said: dict[str, Counter[str]] = {}

    def take(message: Message) -> None:
        value = message.value()
        if value is None or not any(needle in value for needle in needles):
            return
        with contextlib.suppress(InvalidInput):
            for _, note, _, reason in decode_planned(value).rows():
                if note in ids and reason:
                    said.setdefault(note, Counter())[reason] += 1

    ends = await reader.ends(spots)
    await reader.read({spot: (0, end) for spot, end in ends.items()}, take)
    return {note: " or ".join(sorted(reasons)) for note, reasons in said.items()}
