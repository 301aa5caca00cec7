"""Frequency caps: how many notifications a user gets in a time. Pure; times are milliseconds since the epoch.

A slot is taken when a notification leaves, before its due record is put: no two of them take the same one. It is given
back when all of its deliveries ended without having been accepted. A slot has the identity of its notification: taking
it twice is taking it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta, tzinfo
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import msgspec

from pushcast.model.zones import local_day, point

OnExceed = Literal["drop", "hold", "digest"]
Calendar = Literal["day", "week", "month"]
#: So long after its expiry a notification without word of its end keeps its slot for good.
UNCONFIRMED_MS: Final = 600_000
ID_BYTES: Final = 8
#: The first instant of a date: where clocks jump over it, that of the jump (`zones.point`).
MIDNIGHT: Final = time(0)


class CapRule(NamedTuple):
    """`classes`, `app` None: all. Either a rolling window of `window_ms`, or a period of the user's calendar."""

    name: str
    limit: int
    classes: frozenset[str] | None = None
    app: str | None = None
    window_ms: int = 0
    calendar: Calendar | None = None
    on_exceed: OnExceed = "drop"

    def counts(self, klass: str, app: str) -> bool:
        """Whether a notification of that class and app takes a slot. `app` empty: one for all apps."""
        if self.classes is not None and klass not in self.classes:
            return False
        return self.app is None or not app or app == self.app


class Slot(msgspec.Struct, frozen=True):
    """One notification's. `kept`: a provider has accepted it, or nobody will ever say. `planned`: deliveries so far,
    of `accounts`; `ended`: those that ended otherwise. Both hold 8 bytes of each, so copies change nothing."""

    id: bytes
    at: int
    klass: str
    app: str
    expires_at: int
    kept: bool = False
    planned: int = 0
    accounts: bytes = b""
    ended: bytes = b""


class Usage(msgspec.Struct, frozen=True):
    """A user's slots, by time, and when the calendar period of each rule began that was counted last."""

    slots: tuple[Slot, ...] = ()
    periods: dict[str, int] = {}

    def slot(self, name: bytes) -> Slot | None:
        """Of a notification; None: it has none."""
        return next((slot for slot in self.slots if slot.id == name), None)


class Capped(NamedTuple):
    """It may not leave now. `free_at`: when it may."""

    rule: str
    on_exceed: OnExceed
    free_at: int


class Asked(NamedTuple):
    """What asks for a slot."""

    id: bytes
    klass: str
    app: str
    expires_at: int
    zone: tzinfo


def slot_id(note_id: str) -> bytes:
    """Of a notification of one user."""
    return blake2b(note_id.encode(), digest_size=ID_BYTES).digest()


def take(usage: Usage, rules: Sequence[CapRule], asked: Asked, now_ms: int) -> Usage | Capped:
    """The usage with its slot, or why it gets none: all rules that count it must allow it. A rule that drops has the
    say before the others, and of these the one that frees a slot last."""
    if usage.slot(asked.id) is not None:
        return usage
    refused: list[Capped] = []
    for rule in rules:
        if not rule.counts(asked.klass, asked.app):
            continue
        since, until = _period(rule, usage, asked.zone, now_ms)
        taken = [slot.at for slot in usage.slots if slot.at >= since and rule.counts(slot.klass, slot.app)]
        if len(taken) >= rule.limit:
            free_at = until if rule.calendar is not None else sorted(taken)[-rule.limit] + rule.window_ms
            refused.append(Capped(rule.name, rule.on_exceed, free_at))
    if refused:
        return max(refused, key=lambda each: (each.on_exceed == "drop", each.free_at))
    return taken_by(usage, rules, asked, now_ms)


def taken_by(usage: Usage, rules: Sequence[CapRule], asked: Asked, now_ms: int) -> Usage:
    """The usage with the slot of one that left, whatever the rules say."""
    if usage.slot(asked.id) is not None:
        return usage
    counting = [rule for rule in rules if rule.calendar is not None and rule.counts(asked.klass, asked.app)]
    periods = {rule.name: _period(rule, usage, asked.zone, now_ms)[0] for rule in counting}
    slot = Slot(asked.id, now_ms, asked.klass, asked.app, asked.expires_at)
    return Usage(_needed((*usage.slots, slot), rules, now_ms), {**usage.periods, **periods})


def _period(rule: CapRule, usage: Usage, zone: tzinfo, now_ms: int) -> tuple[int, int]:
    """From when on slots count, and when a calendar period ends. One never goes back, wherever the user travels."""
    if rule.calendar is None:
        return now_ms - rule.window_ms + 1, 0
    day = _begins(rule.calendar, local_day(max(now_ms, usage.periods.get(rule.name, 0)), zone))
    since = max(point(day, MIDNIGHT, zone), usage.periods.get(rule.name, 0))
    return since, point(_next(rule.calendar, day), MIDNIGHT, zone)


def _begins(calendar: Calendar, day: date) -> date:
    if calendar == "day":
        return day
    return day.replace(day=1) if calendar == "month" else day - timedelta(days=day.weekday())


def _next(calendar: Calendar, begins: date) -> date:
    days = {"day": 1, "week": 7, "month": 32}[calendar]
    return _begins(calendar, begins + timedelta(days=days))


def _needed(slots: Iterable[Slot], rules: Sequence[CapRule], now_ms: int) -> tuple[Slot, ...]:
    """Slots that a rule may still look at: the newest of each, at most twice its limit, because ignoring classes take
    slots beyond it."""
    ordered = sorted(slots, key=lambda slot: slot.at)
    found: set[bytes] = set()
    for rule in rules:
        oldest = now_ms - (rule.window_ms or _LONGEST_MS)
        mine = [slot.id for slot in ordered if slot.at > oldest and rule.counts(slot.klass, slot.app)]
        found.update(mine[-2 * rule.limit :])
    return tuple([slot for slot in ordered if slot.id in found])


#: Of a calendar period, with a day for those who travel.
_LONGEST_MS: Final = 33 * 86_400_000


class SlotPlanned(NamedTuple):
    """A planner has planned so many deliveries of an account."""

    id: bytes
    account: bytes
    deliveries: int


class Ended(NamedTuple):
    """A delivery ended at `at`. `accepted`: or nobody knows whether it was."""

    id: bytes
    delivery: bytes
    accepted: bool
    at: int
    klass: str
    app: str


def told(usage: Usage, word: SlotPlanned | Ended, rules: Sequence[CapRule], now_ms: int) -> Usage:
    """The usage after word of a notification. Of a class that no cap holds up the first accepted delivery takes the
    slot, beyond the limit too."""
    slot = usage.slot(word.id)
    if slot is None:
        if isinstance(word, SlotPlanned) or not word.accepted:
            return usage
        if not any(rule.counts(word.klass, word.app) for rule in rules):
            return usage
        slot = Slot(word.id, word.at, word.klass, word.app, word.at, kept=True)
        return Usage(_needed((*usage.slots, slot), rules, now_ms), usage.periods)
    if slot.kept:
        return usage
    changed = _after(slot, word, now_ms)
    if changed == slot:
        return usage
    if not changed.kept and changed.accounts and len(changed.ended) >= changed.planned * ID_BYTES:
        return Usage(tuple([each for each in usage.slots if each is not slot]), usage.periods)
    return Usage(tuple([changed if each is slot else each for each in usage.slots]), usage.periods)


def without_word(usage: Usage, now_ms: int) -> tuple[Usage, int]:
    """The usage in which slots are kept of which nobody said a word until ten minutes after their expiry; and how many
    these are."""
    overdue = [slot for slot in usage.slots if not slot.kept and now_ms > slot.expires_at + UNCONFIRMED_MS]
    if not overdue:
        return usage, 0
    slots = [_kept(slot) if slot in overdue else slot for slot in usage.slots]
    return Usage(tuple(slots), usage.periods), len(overdue)


def _kept(slot: Slot) -> Slot:
    return msgspec.structs.replace(slot, kept=True, accounts=b"", ended=b"")


def _after(slot: Slot, word: SlotPlanned | Ended, now_ms: int) -> Slot:
    if now_ms > slot.expires_at + UNCONFIRMED_MS or (isinstance(word, Ended) and word.accepted):
        return _kept(slot)
    if isinstance(word, SlotPlanned):
        if word.account in _parts(slot.accounts):
            return slot
        accounts = slot.accounts + word.account
        return msgspec.structs.replace(slot, accounts=accounts, planned=slot.planned + word.deliveries)
    if word.delivery in _parts(slot.ended):
        return slot
    return msgspec.structs.replace(slot, ended=slot.ended + word.delivery)


def _parts(joined: bytes) -> list[bytes]:
    return [joined[at : at + ID_BYTES] for at in range(0, len(joined), ID_BYTES)]
