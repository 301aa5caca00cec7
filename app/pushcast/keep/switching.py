"""Threads that users switch off while notifications of them gather in digests, which registrars tell of.

A planner judges a digest by its class, and by its thread where its members share one. It never sees a member by itself,
so whether a member is still wanted stands in that member's row.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

import msgspec

from pushcast.keep.tenure import KeepTenure
from pushcast.model.errors import InvalidInput
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.waiting.facts import decode_facts, encode_facts
from pushcast.wire.waiting.notices import ThreadsOff, thread_name
from pushcast.wire.waiting.timers import Timer

#: Of one partition, the newest: what a planner judged before comes within seconds, or as late as its lane is behind.
MAX_USERS: Final = 1_000


class Switching:
    """Never awaits. `mandatory`: classes that nobody can opt out of."""

    def __init__(self, threads: ThreadReader, mandatory: Set[str]) -> None:
        self._threads = threads
        self._mandatory = mandatory

    @staticmethod
    def remember(tenure: KeepTenure, user: str, off: ThreadsOff) -> None:
        """For what joins a digest later, and was judged before; beyond the limit the oldest user goes."""
        tenure.switched.pop(name := user.encode(), None)
        tenure.switched[name] = off
        if len(tenure.switched) > MAX_USERS:
            tenure.switched.popitem(last=False)

    def joining(self, tenure: KeepTenure, user: str, timer: Timer) -> Timer:
        """The row of one that is about to be a member."""
        off = tenure.switched.get(user.encode()) if tenure.switched else None
        return timer if off is None else self.judged(timer, off)

    def judged(self, timer: Timer, off: ThreadsOff) -> Timer:
        """The row of a member when these threads are off: it says whether it is wanted."""
        facts = decode_facts(timer.facts)
        unwanted = facts.klass not in self._mandatory and self._is_off(timer.event, off)
        if unwanted == facts.unwanted:
            return timer
        return msgspec.structs.replace(timer, facts=encode_facts(msgspec.structs.replace(facts, unwanted=unwanted)))

    def _is_off(self, event: bytes, off: ThreadsOff) -> bool:
        """One for all apps is off where each of them has it off."""
        try:
            app, thread = self._threads.named(event)
        except InvalidInput:
            return False  # its planner could read it; a keeper of an earlier release cannot
        if thread is None:
            return False
        names = off.values() if app is None else (off.get(app, off.get("", frozenset())),)
        return all(thread_name(thread) in each for each in names)
