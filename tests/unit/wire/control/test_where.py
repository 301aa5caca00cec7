"""Who else has a group and slot: the record, and which process is the older one that is alive."""

from __future__ import annotations

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.wire.control.where import LIVE_REFRESHES, Where, decode, encode, key_of, older_owner

OLD = Where("a", "host-1", 11, 1_000)
YOUNG = Where("b", "host-2", 22, 2_000)


def test_a_record_is_read_as_it_was_written_and_with_fields_of_a_later_release() -> None:
    assert decode(encode(OLD)) == OLD
    assert decode(b'{"instance":"a","host":"host-1","pid":11,"started_at":1000,"zone":"x"}') == OLD
    assert key_of("pushcast-plan-normal", "local") == b"where/pushcast-plan-normal/local"


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"{", b"[]", b"\xff", b'{"instance":"a"}', b'{"instance":"","host":"h","pid":1,"started_at":1}'),
        b'{"instance":"a","host":"h","pid":0,"started_at":1}',
        b'{"instance":"a","host":"h","pid":1,"started_at":18446744073709551616}',
    ],
)
def test_what_is_no_such_record_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(value)


def test_the_younger_finds_the_older_and_the_older_finds_nobody() -> None:
    log = [OLD, YOUNG, OLD]
    assert older_owner(YOUNG, log) == OLD
    assert older_owner(OLD, log) is None


def test_a_predecessor_that_wrote_nothing_since_this_one_began_is_not_alive() -> None:
    assert older_owner(YOUNG, [OLD, OLD, YOUNG, YOUNG]) is None


def test_one_that_was_stopped_while_this_one_told_three_times_is_not_alive() -> None:
    assert older_owner(YOUNG, [YOUNG, OLD, *[YOUNG] * LIVE_REFRESHES]) is None


def test_who_has_told_nothing_yet_finds_nobody() -> None:
    assert older_owner(YOUNG, [OLD]) is None


def test_of_several_older_ones_the_oldest_is_named() -> None:
    between = Where("c", "host-3", 33, 1_500)
    assert older_owner(YOUNG, [YOUNG, between, OLD]) == OLD


def test_processes_that_began_in_the_same_millisecond_agree_who_is_older() -> None:
    twin = Where("z", OLD.host, 12, OLD.started_at)
    log = [OLD, twin, OLD, twin]
    assert (older_owner(twin, log), older_owner(OLD, log)) == (OLD, None)


def test_a_process_that_says_no_release_reads_what_the_first_one_writes() -> None:
    """All that write these records do. Counted as older, the first roll-out would wait for itself."""
    assert decode(b'{"instance": "a", "host": "host-1", "pid": 11, "started_at": 1000}').release == 1
