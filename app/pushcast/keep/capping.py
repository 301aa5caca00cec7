"""Asks a user's caps when a notification is due: it takes a slot and leaves, or ends, waits on or joins a digest.

A slot is taken when that is decided: from then on everybody here knows of it. Its row is written with the one that
closes its timer, before that one. Until then its due record says the same to a successor (`left`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from functools import partial
from typing import NamedTuple

import msgspec

from pushcast.keep.due import DueRecords, Put
from pushcast.keep.joining import Joining
from pushcast.keep.rows import Rows
from pushcast.keep.rules import closed_as
from pushcast.keep.tenure import KeepTenure
from pushcast.model.caps import (
    Asked,
    Capped,
    CapRule,
    Ended,
    SlotPlanned,
    Usage,
    slot_id,
    take,
    taken_by,
    told,
    without_word,
)
from pushcast.model.words import Reason
from pushcast.model.zones import zone_of
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.waiting.closings import EXPIRED_CAP
from pushcast.wire.waiting.digests import is_digest
from pushcast.wire.waiting.facts import Facts, decode_facts
from pushcast.wire.waiting.held import has_passed, passing
from pushcast.wire.waiting.timers import Timer, note_id_of, user_key
from pushcast.wire.waiting.usage import usage_key


class TakenSlot(NamedTuple):
    """`note` when its timer leaves, and `put_noted` with its closing; or `put` now, and let it go later."""

    note: Callable[[], None]
    put_noted: Put
    put: Put


#: Lets a timer go that has a slot.
Fire = Callable[[KeepTenure, bytes, Timer, int, TakenSlot], None]


def asks_caps(timer: Timer) -> Facts | None:
    """What the caps have to know of a timer that is due; None: they are not asked."""
    if not timer.facts or timer.closes or has_passed(timer.passed, Reason.FREQUENCY_CAP):
        return None
    facts = decode_facts(timer.facts)
    return facts if facts.gate == Reason.FREQUENCY_CAP else None


class Capping:
    """Of all partitions of one stage."""

    def __init__(
        self, rows: Rows, due: DueRecords, joining: Joining, rules: Sequence[CapRule], count: Count, fire: Fire
    ) -> None:
        self._rows = rows
        self._due = due
        self._joining = joining
        self._rules = rules
        self._count = count
        self._fire = fire

    def take(self, tenure: KeepTenure, key: bytes, timer: Timer, facts: Facts, now_ms: int) -> None:
        """The slot is taken before the next timer is looked at."""
        of_user = usage_key(user_key(key).decode())
        before = self._rows.usage(tenure, of_user) or Usage()
        after = take(before, self._rules, _asked(key, facts), now_ms)
        if isinstance(after, Capped):
            self._count("capped", after.rule, 1)
            self._due.write(tenure, key, partial(self._exceeds, tenure, key, timer, facts, after))
            return
        passed = msgspec.structs.replace(timer, passed=passing(timer.passed, Reason.FREQUENCY_CAP))
        slot = TakenSlot(
            partial(self._note, tenure, of_user, before, after, now_ms),
            partial(self._rows.put_decided, tenure, key=of_user),
            partial(self._put, tenure, of_user, before, after, now_ms),
        )
        self._fire(tenure, key, passed, now_ms, slot)

    def _note(self, tenure: KeepTenure, of_user: bytes, before: Usage, after: Usage, now_ms: int) -> None:
        if after != before:
            self._rows.decide(tenure, of_user, self._confirmed(after, now_ms))

    def told(self, tenure: KeepTenure, barrier: Barrier, user: str, word: SlotPlanned | Ended, now_ms: int) -> None:
        """What became of a notification: its slot is kept, or comes back."""
        of_user = usage_key(user)
        before = self._rows.usage(tenure, of_user) or Usage()
        after = told(before, word, self._rules, now_ms)
        self._put(tenure, of_user, before, after, now_ms, barrier)
        if len(after.slots) < len(before.slots) and before.slot(word.id) is not None:
            self._count("given_back", "", 1)

    def _put(
        self, tenure: KeepTenure, of_user: bytes, before: Usage, after: Usage, now_ms: int, barrier: Barrier
    ) -> None:
        if after != before:
            self._rows.put(tenure, barrier, of_user, self._confirmed(after, now_ms))

    def _confirmed(self, usage: Usage, now_ms: int) -> Usage:
        usage, unconfirmed = without_word(usage, now_ms)
        if unconfirmed:
            self._count("unconfirmed", "", unconfirmed)
        return usage

    def left(self, tenure: KeepTenure, barrier: Barrier, key: bytes, timer: Timer, now_ms: int) -> None:
        """A predecessor has let it go: it takes its slot. That one's own write of the slot may be void."""
        facts = asks_caps(timer)
        if facts is None:
            return
        of_user = usage_key(user_key(key).decode())
        before = self._rows.usage(tenure, of_user) or Usage()
        after = taken_by(before, self._rules, _asked(key, facts), now_ms)
        self._put(tenure, of_user, before, after, now_ms, barrier)

    def _exceeds(
        self, tenure: KeepTenure, key: bytes, timer: Timer, facts: Facts, capped: Capped, barrier: Barrier
    ) -> None:
        """One notification too many."""
        if capped.on_exceed == "drop":
            row = closed_as(timer, Reason.FREQUENCY_CAP)
        elif capped.free_at >= facts.expires_at:
            row = closed_as(timer, EXPIRED_CAP)
        elif capped.on_exceed == "hold" or is_digest(note_id_of(key)):  # apps know no digest in a digest
            row = msgspec.structs.replace(timer, due_at=capped.free_at)
        else:
            later = msgspec.structs.replace(timer, due_at=capped.free_at)
            row = self._joining.join(tenure, barrier, user_key(key).decode(), note_id_of(key), later, facts)
        self._rows.put(tenure, barrier, key, row)


def _asked(key: bytes, facts: Facts) -> Asked:
    name = slot_id(note_id_of(key))
    return Asked(name, facts.klass, facts.app or "", facts.expires_at, zone_of(facts.zone) or UTC)
