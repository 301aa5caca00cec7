"""What waits for its time, as the keeper's topic has it now: for `pushcast schedule` and the audit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from confluent_kafka import Message

from pushcast.audit.spans import positions_of
from pushcast.audit.timer_forecast import add_timers
from pushcast.audit.timer_ledger import Named, TimerTotals, settle
from pushcast.config.rates import rates_of
from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences
from pushcast.handover.guard import RowGuard
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import Spot
from pushcast.model.errors import InvalidInput
from pushcast.model.forecast import Forecast
from pushcast.model.ids import partition_of
from pushcast.model.pacing import Rated
from pushcast.model.words import Lane
from pushcast.wire import groups, topics
from pushcast.wire.configured_schemas import schemas_for_tool
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.headers import Headers, first
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.sending.retries import CAME_FROM
from pushcast.wire.times import rfc3339
from pushcast.wire.waiting.held import CLOSES, timer_of
from pushcast.wire.waiting.lifetimes import lifetimes
from pushcast.wire.waiting.notices import is_notice
from pushcast.wire.waiting.timers import Timer, is_timer, note_id_of, readable, timers_prefix, user_key

_WRITER = "keep"


class WaitingTimer(NamedTuple):
    """A timer and whose it is."""

    user: str
    notification: str
    timer: Timer

    def to_dict(self) -> dict[str, Any]:
        """For JSON. `due_at` null: at once."""
        timer = self.timer
        return {
            "user": self.user,
            "notification": self.notification,
            "lane": timer.lane,
            "due_at": rfc3339(timer.due_at) if timer.due_at else None,
            "written_at": rfc3339(timer.written_at),
            "closes": timer.closes or None,
            "released_at": None if timer.closed_at is None else rfc3339(timer.closed_at),
            "keep_offset": timer.keep_offset,
        }


class TimerRelease(NamedTuple):
    """A timer that was let go, by the name of its keep record, and how it ends; empty: it is sent."""

    name: str
    closes: str


@dataclass
class _Record:
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def timers_of(settings: Settings, user: str | None = None) -> list[WaitingTimer]:
    """Timers of a user, or of all, by when they are due; released ones too, for a day. Reads whole partitions; blocks.
    Raises TailUnreadable."""
    partitions: Iterable[int] = range(settings.kafka.partitions)
    if user is not None:
        partitions = (partition_of(user.encode(), settings.kafka.partitions),)
    rows = asyncio.run(_rows(settings, partitions))
    prefix = b"" if user is None else timers_prefix(user.encode())
    found = [
        WaitingTimer(user_key(key).decode("utf-8", "replace"), note_id_of(key), timer)
        for key, value in rows.items()
        if is_timer(key) and key.startswith(prefix) and (timer := readable(value)) is not None
    ]
    return sorted(found, key=lambda each: (each.timer.due_at, each.timer.keep_offset))


def of_campaign(
    waiting: Iterable[WaitingTimer], campaign: str, schemas: SchemaSource | None = None
) -> list[WaitingTimer]:
    """Those whose notification carries this label. Of a broadcast's part the row does not say it."""
    reader, found = ThreadReader(schemas), []
    for each in waiting:
        try:
            label = reader.campaign(each.timer.event)
        except InvalidInput:
            continue  # a part of a broadcast, or in a schema that is not known
        if label is not None and label.campaign == campaign:
            found.append(each)
    return found


def forecast_of(
    settings: Settings, now_ms: int, most_records: int | None = None, paces: Mapping[str, Rated] | None = None
) -> Forecast | None:
    """What waits, by when it leaves. `paces`: of campaigns, by the control topic. Reads a whole partition at a time;
    blocks. None: there is more to be read than `most_records`. Raises TailUnreadable."""
    kafka = settings.kafka
    if most_records is not None:
        positions = positions_of(settings)
        spots = [(topics.USER, partition) for partition in range(kafka.partitions)]
        starts, ends = positions.starts(spots), positions.ends(spots)
        if sum(ends[spot] - starts.get(spot, 0) for spot in ends) > most_records:
            return None
    found, rates, lives = Forecast(now_ms), rates_of(settings, paces), lifetimes(settings, schemas_for_tool(settings))
    for partition in range(kafka.partitions):
        rows = asyncio.run(_rows(settings, (partition,)))
        waiting = (
            (user_key(key).decode("utf-8", "replace"), timer)
            for key, value in rows.items()
            if is_timer(key) and (timer := readable(value)) is not None and timer.waits
        )
        add_timers(found, waiting, rates, kafka.partitions, lives)
    return found


def timer_totals(settings: Settings, now_ms: int) -> TimerTotals:
    """The ledger of everything that waits or waited lately. Reads whole topics; blocks. Raises TailUnreadable."""
    kafka = settings.kafka
    positions = positions_of(settings)
    keeps = {(topics.keep(lane), partition): lane for lane in Lane for partition in range(kafka.partitions)}
    found = positions.committed(groups.KEEP, keeps)
    committed = {(str(lane), spot[1]): found.get(spot, 0) for spot, lane in keeps.items()}
    return asyncio.run(_totals(settings, keeps, committed, now_ms))


def release_of(headers: Headers) -> TimerRelease | None:
    """What a due record says; None for a dead letter that was redriven, because the keeper let that go once."""
    if first(headers, CAME_FROM) is not None:
        return None
    lane, at, _key = f"{timer_of(headers)}||".split("|", 2)
    return TimerRelease(f"{lane}|{at}", (first(headers, CLOSES) or b"").decode("utf-8", "replace"))


async def _totals(
    settings: Settings, keeps: Mapping[Spot, Lane], committed: Mapping[tuple[str, int], int], now_ms: int
) -> TimerTotals:
    held: dict[Named, int] = {}
    due: dict[Named, Counter[str]] = {}

    def keep(spot: Spot, offset: int, headers: Headers) -> None:
        if is_notice(headers):
            return
        held[Named(spot[1], f"{keeps[spot]}|{offset}")] = offset

    def release(spot: Spot, _: int, headers: Headers) -> None:
        if (released := release_of(headers)) is not None:
            due.setdefault(Named(spot[1], released.name), Counter())[released.closes] += 1

    await _read(settings, keeps, keep)
    rows = await _rows(settings, range(settings.kafka.partitions))
    await _read(settings, [(topics.due(lane), spot[1]) for spot, lane in keeps.items()], release)
    timers = {
        Named(partition_of(user_key(key), settings.kafka.partitions), timer.name): timer
        for key, value in rows.items()
        if is_timer(key) and (timer := readable(value)) is not None
    }
    return settle(held, due, timers, committed, now_ms)


async def _read(settings: Settings, spots: Iterable[Spot], take: Callable[[Spot, int, Headers], None]) -> None:
    """Records that count, for a reader from the beginning."""
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    ends = await reader.ends(spots)
    fences = {spot: Fences() for spot in ends}

    def fold(message: Message) -> None:
        spot = cast(str, message.topic()), cast(int, message.partition())
        headers, offset = headers_of(message), cast(int, message.offset())
        if fences[spot].stands(headers, offset):
            take(spot, offset, headers)

    await reader.read({spot: (0, end) for spot, end in ends.items()}, fold)


async def _rows(settings: Settings, partitions: Iterable[int]) -> dict[bytes, bytes]:
    """Rows that count: what a fenced-off keeper still wrote is left out."""
    reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
    ends = await reader.ends([(topics.USER, partition) for partition in partitions])
    guards = {spot[1]: RowGuard(f"{_WRITER}/{spot[1]}") for spot in ends}
    rows: dict[bytes, bytes] = {}

    def take(message: Message) -> None:
        key, value = message.key(), message.value()
        record = _Record(
            cast(int, message.offset()),
            key if isinstance(key, bytes) else None,
            value if isinstance(value, bytes) else None,
            headers_of(message),
        )
        for row, held in guards[cast(int, message.partition())].judge((record,)).rows:
            if held is None:
                rows.pop(row, None)
            else:
                rows[row] = held

    await reader.read({spot: (0, end) for spot, end in ends.items()}, take)
    return rows
