"""Digests, decided without Kafka (facts D1, D2 and D4 of reference/time.md)."""

from __future__ import annotations

import msgspec
import pytest

from pushcast.keep import digests
from pushcast.keep.digests import Member
from pushcast.keep.rules import AT_ONCE
from pushcast.model.digest import DigestRule
from pushcast.model.words import Reason
from pushcast.wire.waiting.digests import Head, closed_by, closing_name, head_key, heads_prefix, is_head, name_of
from pushcast.wire.waiting.facts import Facts, encode_facts
from pushcast.wire.waiting.timers import Timer, is_timer, timer_key

MINUTE = 60_000
T0 = 1_800_000_000_000
RULE = DigestRule(86_400_000)
FACTS = Facts(Reason.DIGEST, "posts", T0 + 86_400_000, "news", "post-17", "Ann likes it")


def head_of(count: int = 0) -> Head:
    opened = digests.opened("normal|7", "normal", FACTS, T0, T0 + 10 * MINUTE)
    return msgspec.structs.replace(opened, count=count)


def member(number: int, *, expires_at: int = T0 + 86_400_000, closes: str = "") -> Member:
    facts = msgspec.structs.replace(FACTS, expires_at=expires_at)
    timer = Timer("normal", 100 + number, T0 + 10 * MINUTE, T0, closes, digest="normal|7", number=number)
    timer = msgspec.structs.replace(timer, facts=encode_facts(facts))
    return Member(timer_key("ann", f"n{number}"), f"n{number}", timer, facts)


def test_d2_an_event_at_the_end_of_the_window_opens_the_next() -> None:
    assert digests.is_open(head_of(), T0 + 10 * MINUTE - 1)
    assert not digests.is_open(head_of(), T0 + 10 * MINUTE)


def test_d2_with_max_events_it_is_due_at_once_and_takes_no_more() -> None:
    head, timer = head_of(), Timer("normal", 8, 0, T0)
    for number in (1, 2, 3):
        assert digests.is_open(head, T0)
        head, joined = digests.joined(head, timer, RULE._replace(max_events=3))
        assert (joined.digest, joined.number, joined.due_at) == ("normal|7", number, T0 + 10 * MINUTE)
    assert (head.count, head.due_at) == (3, AT_ONCE)
    assert not digests.is_open(head, T0)


def test_a_digest_that_left_takes_no_more() -> None:
    left = digests.flushed(head_of(2), T0, 2, is_push=True)
    assert not digests.is_open(left, T0)
    assert left.left_as == head_of().id


def test_its_members_are_those_that_wait_in_it_as_they_joined() -> None:
    other = msgspec.structs.replace(member(3).timer, digest="normal|9")
    closed = msgspec.structs.replace(member(4).timer, closed_at=T0)
    timers = {
        member(2).key: member(2).timer,
        member(1).key: member(1).timer,
        b"other": other,
        b"closed": closed,
        b"cancelled": member(5, closes="cancelled").timer,
    }
    assert digests.members_of(head_of(), timers) == [member(1), member(2)]


def test_d4_what_expired_is_not_counted() -> None:
    found = digests.flush(head_of(3), [member(1, expires_at=T0 + 5 * MINUTE), member(2), member(3)], T0 + 10 * MINUTE)
    assert (found.upto, [each.note_id for each in found.members], found.is_push) == (3, ["n2", "n3"], True)


def test_a_digest_of_one_or_none_is_no_push() -> None:
    assert not digests.flush(head_of(1), [member(1)], T0).is_push
    assert not digests.flush(head_of(1), [], T0).is_push


@pytest.mark.parametrize(
    ("number", "expires_at", "closes", "left_as"),
    [
        (1, T0 + 86_400_000, "digested", head_of().id),
        (1, T0, "expired/digest", ""),
        (3, T0 + 86_400_000, "", ""),  # ruling II.13: it came when the digest had left
    ],
)
def test_how_a_member_ends_when_its_digest_has_left(number: int, expires_at: int, closes: str, left_as: str) -> None:
    left = digests.flushed(head_of(2), T0, 2, is_push=True)
    row = digests.left(left, member(number, expires_at=expires_at))
    assert (row.closes, row.left_as) == (closes, left_as)
    assert bool(row.digest) == bool(closes)


def test_the_only_member_leaves_as_itself() -> None:
    left = digests.flushed(head_of(1), T0, 1, is_push=False)
    row = digests.left(left, member(1))
    assert (row.digest, row.closes, row.passed, row.due_at) == ("", "", "digest", T0)


def test_members_of_an_open_digest_do_not_leave() -> None:
    with pytest.raises(ValueError, match="open"):
        digests.left(head_of(1), member(1))


def test_its_name_is_the_same_whoever_makes_it() -> None:
    assert head_of(3).id == head_of(5).id
    assert head_of().id.startswith("digest:")
    for changed in ({"app": None}, {"klass": "x"}, {"key": ""}, {"dry_run": True}, {"name": "normal|8"}):
        assert msgspec.structs.replace(head_of(), **changed).id != head_of().id


def test_keys_of_rows_tell_timers_from_digests() -> None:
    key = head_key("ann", FACTS, "normal|7")
    assert is_head(key)
    assert not is_timer(key)
    assert (key.startswith(heads_prefix("ann", FACTS)), name_of(key)) == (True, "normal|7")
    for timer in (timer_key("ann", "n"), timer_key("ann", "d")):
        assert is_timer(timer)
        assert not is_head(timer)


def test_a_new_owner_reads_from_the_name_of_a_push_how_far_it_counts() -> None:
    key = head_key("ann|b", FACTS, "normal|7")
    assert closed_by(closing_name(head_of(), key, 3, T0)) == (key, 3, T0)
    assert closed_by("normal|7|ann\0t\0n") is None
