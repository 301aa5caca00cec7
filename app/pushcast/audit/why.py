"""Reads the records that tell what became of a notification: one partition of each topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final, cast

from confluent_kafka import Message

from pushcast.audit.answer import GroupProgress, HeldPart, answer
from pushcast.audit.case import BOOKS, DEAD, INTAKES, WAITING, Case, Wait
from pushcast.audit.hints import hints, unseen
from pushcast.audit.kept_since import FirstRecords, shown_kept_since
from pushcast.audit.spans import positions_of
from pushcast.audit.timers import timers_of
from pushcast.audit.verdict import verdict
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row, partition_of
from pushcast.model.words import Reason
from pushcast.model.zones import UTC_NAME, name_of, zone_of
from pushcast.wire import groups, topics
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.configured_schemas import schemas_for_tool
from pushcast.wire.devices.device_zones import home_of, zone_of_user
from pushcast.wire.devices.user_rows import wishes_of
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.keys import user_of
from pushcast.wire.times import rfc3339
from pushcast.wire.waiting.facts import decode_facts
from pushcast.wire.waiting.timers import Timer


def why(settings: Settings, user: str, note: str, device: str | None = None) -> tuple[bool, dict[str, Any]]:
    """(whether anything is known, `{answer, verdict, evidence, hints, traces, kept_since}`). Blocks. Raises
    KafkaException, TailUnreadable."""
    case, progress = case_of(settings, user, note, device)
    held = held_of(settings, case) if _was_held(case) else []
    said = answer(case, progress, held)
    oldest = "none" if case.oldest_event_ms is None else rfc3339(case.oldest_event_ms)
    nothing = (
        f"nothing is known of notification {note} for user {user}: partition "
        f"{partition_of(user.encode(), settings.kafka.partitions)} of the intake topics has no "
        f"such event, and no partition such a dead letter (the oldest there: {oldest})"
    )
    evidence = [each.to_dict() for each in case.evidence]
    found = {"answer": said or nothing, "verdict": verdict(case, progress, held).to_dict(), "evidence": evidence}
    long_ago = unseen(case.seen, round(time.time() * 1000))
    explained = hints(case.note, case.accepted, long_ago, case.collapsing)
    found |= {"hints": explained, "traces": case.traces}
    return said is not None, found | {"kept_since": shown_kept_since(case.kept_since)}


#: Reasons of planned records whose notification goes to the keeper.
HELD: Final = frozenset(
    {
        Reason.SCHEDULED,
        Reason.SPREAD,
        Reason.REVISION,
        Reason.UNLESS_READ,
        Reason.READ_GATE,
        Reason.BADGE,
        Reason.DIGEST,
        Reason.QUIET_HOURS,
        Reason.FREQUENCY_CAP,
        Reason.PACE,
    }
)


def _was_held(case: Case) -> bool:
    return any(reason in HELD for _, _, reason in case.planned_here.values())


def held_of(settings: Settings, case: Case) -> list[HeldPart]:
    """What the keeper has of it now. Reads the keeper's whole partition of the user; blocks. Raises TailUnreadable."""
    words = [reason for _, _, reason in case.planned_here.values() if reason in HELD]
    timers = [each.timer for each in timers_of(settings, case.user) if each.notification == case.note]
    zone = zone_in(settings, case)
    return [HeldPart(timer.due_at, why_held(timer, words[0]), zone) for timer in timers if timer.waits]


def zone_in(settings: Settings, case: Case) -> str:
    """Where the user is now, by preferences and devices, or else by the app of a device."""
    rows = sorted(case.values.items())
    wishes = wishes_of([row for row in rows if is_user_row(row[0])], lambda _: None)
    app = next((app for app, _ in case.seen), "")
    default = settings.apps[app].time_zone if app in settings.apps else UTC_NAME
    return name_of(zone_of_user(app, lambda: home_of(rows), wishes, zone_of(default) or UTC))


def why_held(timer: Timer, planned: str) -> str:
    """Why the keeper has it. `planned`: why its planner gave it away first."""
    if timer.closes:
        return timer.closes
    return decode_facts(timer.facts).gate if timer.facts else planned


def note_at(settings: Settings, topic: str, partition: int, offset: int) -> tuple[str, str] | None:
    """(user, notification id) of an intake record. None: it is gone, was never there, or is no valid notification.

    Blocks. Raises KafkaException, TailUnreadable."""
    kafka = settings.kafka
    if topic not in INTAKES or partition >= kafka.partitions:
        return None
    positions = positions_of(settings)
    spot = topic, partition
    if not positions.starts([spot]).get(spot, 0) <= offset < positions.ends([spot])[spot]:
        return None
    found: list[Message] = []
    asyncio.run(SpanReader(kafka.bootstrap_servers, kafka.security).read({spot: (offset, offset + 1)}, found.append))
    for message in found:
        try:
            user = user_of(message.key())
            decode = NotificationDecoder(
                settings.apps, class_rules(settings.classes), schemas_for_tool(settings)
            ).decode
            return user, decode(user, message.value(), message.timestamp()[1]).id
        except InvalidInput:
            return None
    return None


def deliveries_waiting(settings: Settings, user: str, note: str) -> Mapping[str, Wait]:
    """What of a notification or a broadcast is in topics that their groups have not finished, by delivery id in hex.

    Blocks. Raises KafkaException, TailUnreadable."""
    return case_of(settings, user, note, books=())[0].waits


def case_of(
    settings: Settings, user: str, note: str, device: str | None = None, *, books: Sequence[str] = BOOKS
) -> tuple[Case, GroupProgress]:
    """Everything that the topics have of it; `books`: of those that are read whole, these. Blocks. Raises
    KafkaException, TailUnreadable."""
    partition = partition_of(user.encode(), settings.kafka.partitions)
    case = Case(user, note, device, schemas_for_tool(settings))
    kafka = settings.kafka
    positions = positions_of(settings)
    readers = {**{topic: groups.plan(lane) for topic, lane in INTAKES.items()}, **WAITING}
    committed: dict[str, int] = {}
    for group in sorted(set(readers.values())):
        its_own = [(topic, partition) for topic, reader in readers.items() if reader == group]
        committed |= {topic: offset for (topic, _), offset in positions.committed(group, its_own).items()}
    asked = [(topic, partition) for topic in (*books, *WAITING)]
    # What a producer with another partitioner has written is refused where it lies, before anybody moves it.
    others = [number for number in range(kafka.partitions) if number != partition]
    asked += [(topic, number) for topic in DEAD if topic in books for number in others]
    ends = positions.ends(asked)
    spans = {spot: (committed.get(spot[0], 0) if spot[0] in WAITING else 0, end) for spot, end in ends.items()}
    firsts = FirstRecords()

    def take(message: Message) -> None:
        record = plain(message)
        firsts.saw((record.topic, record.partition), record.offset, record.timestamp)
        case.record(record)

    asyncio.run(SpanReader(kafka.bootstrap_servers, kafka.security).read(spans, take))
    whole = {spot: end for spot, end in ends.items() if spot[0] not in WAITING}
    case.kept_since = firsts.kept_since(whole, round(time.time() * 1000), {topics.DEVICE})
    members = {group: found.alive for group, found in positions.members({*readers.values(), groups.KEEP}).items()}
    return case, GroupProgress(committed, members)


def plain(message: Message) -> PlainRecord:
    """A consumed record, without the client."""
    return PlainRecord(
        cast(str, message.topic()),
        cast(int, message.partition()),
        cast(int, message.offset()),
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers_of(message),
    )
