"""What becomes of notifications that leave together. Pure; times are milliseconds since the epoch.

A digest is a head and members. Each member is a timer of its own that waits for the head, so cancels, duplicates and
the ledger see it as any other; whatever becomes of the digest, each closes by one due record. From the moment its push
is put, a head is closed to members that come later: they open the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pushcast.keep.rules import AT_ONCE, closed_as
from pushcast.model.digest import DigestRule
from pushcast.model.words import Reason
from pushcast.wire.waiting.closings import EXPIRED_DIGEST
from pushcast.wire.waiting.digests import Head
from pushcast.wire.waiting.facts import Facts, decode_facts
from pushcast.wire.waiting.held import passing
from pushcast.wire.waiting.timers import Timer, note_id_of


class Member(NamedTuple):
    """A timer that waits in a digest."""

    key: bytes  # of its row
    note_id: str
    timer: Timer
    facts: Facts


class Flush(NamedTuple):
    """How a digest leaves at `at`: as a push that counts `members`, or else as its only member, or not at all."""

    at: int
    upto: int
    members: Sequence[Member]

    @property
    def is_push(self) -> bool:
        """Whether it is more than its only member."""
        return len(self.members) > 1


def opened(name: str, lane: str, facts: Facts, written_at: int, due_at: int) -> Head:
    """A digest without members."""
    return Head(name, lane, facts.app, facts.klass, facts.key, facts.dry_run, written_at, due_at)


def is_open(head: Head, written_at: int) -> bool:
    """Whether an event of that time may join: those from the end of its window on open the next one."""
    return head.flushed_at is None and written_at < head.due_at


def joined(head: Head, timer: Timer, rule: DigestRule, gone: int = 0) -> tuple[Head, Timer]:
    """The head and the new member. A head that is full is due at once. `gone`: how many joined and are members no
    more."""
    number = head.count + 1
    due_at = AT_ONCE if number - gone >= rule.max_events else head.due_at
    member = msgspec.structs.replace(timer, digest=head.name, number=number, due_at=head.due_at)
    return msgspec.structs.replace(head, count=number, due_at=due_at), member


def members_of(head: Head, timers: Mapping[bytes, Timer]) -> list[Member]:
    """Of a user's timers those that wait in this digest, as they joined. What ends for a reason of its own is none."""
    found = [
        Member(key, note_id_of(key), timer, decode_facts(timer.facts))
        for key, timer in timers.items()
        if timer.digest == head.name and timer.waits and not timer.closes
    ]
    return sorted(found, key=lambda member: member.timer.number)


def flush(head: Head, members: Iterable[Member], now_ms: int) -> Flush:
    """How it leaves now. What has expired is not counted, nor what its user does not want any more."""
    counted = [each for each in members if each.facts.expires_at > now_ms and not each.facts.unwanted]
    return Flush(now_ms, head.count, counted)


def flushed(head: Head, at: int, upto: int, *, is_push: bool) -> Head:
    """The row of one that left, until its members are closed."""
    return msgspec.structs.replace(head, flushed_at=at, upto=upto, left_as=head.id if is_push else "")


def left(head: Head, member: Member) -> Timer:
    """The row of a member of a digest that left: it ends, or leaves as itself: the only one, or a later one."""
    timer = member.timer
    if head.flushed_at is None:
        raise ValueError("this digest is open")
    if member.facts.expires_at <= head.flushed_at:
        return closed_as(timer, EXPIRED_DIGEST)
    if member.facts.unwanted:
        return closed_as(timer, Reason.OPTED_OUT)
    if head.left_as and timer.number <= head.upto:
        return msgspec.structs.replace(closed_as(timer, Reason.DIGESTED), left_as=head.left_as)
    return msgspec.structs.replace(
        timer, digest="", due_at=head.flushed_at, passed=passing(timer.passed, Reason.DIGEST)
    )
