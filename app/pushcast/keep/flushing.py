"""Lets digests go: their push, then each of their members."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pushcast.keep import digests
from pushcast.keep.digests import Flush
from pushcast.keep.due import DueRecord, DueRecords
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.digest import NO_RULE, DigestRule
from pushcast.model.words import Reason
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.waiting.digest_text import DigestPart, digest_event
from pushcast.wire.waiting.digests import Head, closing_name
from pushcast.wire.waiting.held import Released, released_headers
from pushcast.wire.waiting.timers import user_key


class Flushes:
    """Of all partitions of one stage. `rules`: by class."""

    def __init__(self, rows: Rows, due: DueRecords, rules: Mapping[str, DigestRule], count: Count) -> None:
        self._rows = rows
        self._due = due
        self._rules = rules
        self._count = count

    def take(self, tenure: KeepTenure, key: bytes, head: Head, now_ms: int) -> None:
        """A digest that is due leaves; one that left closes its members."""
        members = digests.members_of(head, self._rows.waiting_of(tenure, user_key(key).decode()))
        if head.flushed_at is not None:
            self._due.write(tenure, key, partial(self._close_members, tenure, key, head, members))
            return
        flush = digests.flush(head, members, now_ms)
        left = digests.flushed(head, flush.at, flush.upto, is_push=flush.is_push)

        def closed(barrier: Barrier) -> None:
            self._rows.put(tenure, barrier, key, left)

        if not flush.is_push:
            self._due.write(tenure, key, closed)
            return
        self._due.close(tenure, key, self._push(tenure, key, head, flush), closed)
        self._count("digests", "", 1)

    def _push(self, tenure: KeepTenure, key: bytes, head: Head, flush: Flush) -> DueRecord:
        parts = [DigestPart(each.note_id, each.facts.title, each.facts.expires_at) for each in flush.members]
        event = digest_event(head, parts, flush.at, self._rules.get(head.klass, NO_RULE))
        name = closing_name(head, key, flush.upto, flush.at)
        released = Released(flush.at, None, due_at=flush.at, passed=Reason.DIGEST.value)
        trace = flush.members[-1].timer.trace
        return DueRecord(head.lane, event, released_headers(tenure.origin, name, released, "", trace))

    def _close_members(
        self, tenure: KeepTenure, key: bytes, head: Head, members: list[digests.Member], barrier: Barrier
    ) -> None:
        """The head goes last: one that is found again closes what it left open."""
        for member in members:
            self._rows.put(tenure, barrier, member.key, digests.left(head, member))
        self._rows.put(tenure, barrier, key, None)
