"""Puts notifications into the digest that is open for them, or opens one."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pushcast.keep import digests
from pushcast.keep.rows import Rows
from pushcast.keep.switching import Switching
from pushcast.keep.tenure import KeepTenure
from pushcast.model.digest import NO_RULE, DigestRule
from pushcast.model.words import Reason
from pushcast.stream.ports import Barrier
from pushcast.wire.waiting.digests import Head, head_key, heads_prefix
from pushcast.wire.waiting.facts import Facts, decode_facts
from pushcast.wire.waiting.held import passing
from pushcast.wire.waiting.timers import Timer


class Joining:
    """Never awaits. `rules`: by class."""

    def __init__(self, rows: Rows, rules: Mapping[str, DigestRule], switching: Switching) -> None:
        self._rows = rows
        self.switching = switching
        self._rules = rules

    def join(self, tenure: KeepTenure, barrier: Barrier, user: str, note_id: str, timer: Timer, facts: Facts) -> Timer:
        """The timer as a member, whose row is for the caller to write. `timer.due_at`: when a digest leaves that it
        opens. The head goes first: a member without one would never leave."""
        rule = self._rules.get(facts.klass, NO_RULE)
        heads = self._rows.heads_of(tenure, user, heads_prefix(user, facts))
        for key, head in heads.items():
            if not is_leaving(tenure, key) and digests.is_open(head, timer.written_at):
                break
        else:
            head = digests.opened(timer.name, timer.lane, facts, timer.written_at, timer.due_at)
            key = head_key(user, facts, timer.name)
            if rule.first_leaves:
                self._rows.put(tenure, barrier, key, head)
                passed = passing(timer.passed, Reason.DIGEST)
                return msgspec.structs.replace(timer, due_at=timer.written_at, passed=passed)
        gone = self._gone(tenure, user, note_id, head) if head.count + 1 >= rule.max_events else 0
        head, member = digests.joined(head, self.switching.joining(tenure, user, timer), rule, gone)
        self._rows.put(tenure, barrier, key, head)
        return member

    def _gone(self, tenure: KeepTenure, user: str, note_id: str, head: Head) -> int:
        """How many have left this digest before it, a revision that gives way to `note_id` among them."""
        members = digests.members_of(head, self._rows.waiting_of(tenure, user))
        return head.count - sum(member.note_id != note_id for member in members)

    def leaves(self, tenure: KeepTenure, user: str, timer: Timer) -> bool:
        """Whether a push counts this timer that left, or may have."""
        if not timer.digest or not timer.facts:
            return False
        key = head_key(user, decode_facts(timer.facts), timer.digest)
        head = self._rows.head(tenure, key)
        return is_leaving(tenure, key) or (isinstance(head, Head) and bool(head.left_as))


def is_leaving(tenure: KeepTenure, key: bytes) -> bool:
    """Whether the due record of a row is put: nothing joins it, and no cancel reaches it."""
    return key in tenure.firing
