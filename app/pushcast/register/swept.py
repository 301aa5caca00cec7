"""What a sweep writes: the end of rows whose time has come."""

from __future__ import annotations

import itertools
from typing import Final

import msgspec

from pushcast.model.user import UserRow
from pushcast.register.claims import given_up
from pushcast.register.context import Context
from pushcast.register.removals import gone
from pushcast.register.sweep import STALE, Fate, SweepRules
from pushcast.register.tenure import RegisterTenure
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.newer import NewerSchema

#: Stands for a topic in the names of what a sweep writes: no event caused it.
SOURCE: Final = "sweep"
_numbers = itertools.count()


class SweptRows:
    """All outputs under one barrier. It never awaits: reading a row and writing it are one step."""

    def __init__(
        self, context: Context, tenure: RegisterTenure, write: Writing, rules: SweepRules, now_ms: int
    ) -> None:
        self._counters = context.counters
        self._partition = tenure.number
        self._rules = rules
        self._now_ms = now_ms
        self._view = UserView(context, tenure)
        self._write = write

    def end(self, key: bytes) -> None:
        """Ends the row if its time has come, as it is with all that is in flight."""
        user = key.partition(b"\0")[0]
        cause = PlainRecord(SOURCE, self._partition, next(_numbers), self._now_ms, user, None, ())
        try:
            row = self._view.row(user, key)
        except NewerSchema:
            return  # a process of that release sweeps it
        fate = None if row is None else self._rules.fate(row, self._now_ms)
        if row is None or fate is None:
            return
        if isinstance(row, UserRow):
            kept = msgspec.structs.replace(row, forgotten_at=None)
            if kept == UserRow():
                self._write.nothing(cause, key, fate)
            else:
                self._write.user(cause, key, kept)
        elif fate is Fate.STALE:
            marker = gone(key, row, row.registered_at, self._now_ms, STALE)
            self._write.gone(cause, key, marker, STALE)
            self._write.claims(cause, given_up(key, row))
            self._counters["removals", STALE] += 1
        else:
            self._write.nothing(cause, key, fate)
