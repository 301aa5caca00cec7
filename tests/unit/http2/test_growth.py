from __future__ import annotations

import random
from dataclasses import replace

import pytest

from pushcast.http2.growth import Load, Spare, Ticks, backoff_seconds, connections_to_add, one_too_many

SHORT = Load(waiting=50, in_flight=400, stream_limits=[100] * 4, short_of_streams=True, settling=0, idle_share=0.5)


def test_half_as_many_again_are_added_when_streams_limit() -> None:
    assert connections_to_add(SHORT, 16, 0.2) == 2
    assert connections_to_add(replace(SHORT, stream_limits=[100]), 16, 0.2) == 1


@pytest.mark.parametrize(
    "load",
    [
        replace(SHORT, waiting=0),
        replace(SHORT, short_of_streams=False),
        replace(SHORT, settling=1),
        replace(SHORT, idle_share=0.1),
        replace(SHORT, stream_limits=[]),
        replace(SHORT, stream_limits=[100] * 16),
    ],
)
def test_none_is_added_when_another_thing_limits(load: Load) -> None:
    assert connections_to_add(load, 16, 0.2) == 0


def test_the_maximum_is_not_passed() -> None:
    assert connections_to_add(SHORT, 5, 0.2) == 1


def test_one_is_too_many_when_the_others_carry_twice_the_load() -> None:
    quiet = replace(SHORT, waiting=0, in_flight=150)
    assert one_too_many(quiet)
    assert not one_too_many(replace(quiet, in_flight=151))
    assert not one_too_many(replace(quiet, waiting=1))
    assert not one_too_many(replace(quiet, stream_limits=[100], in_flight=0))


def test_backoff_doubles_to_its_cap_with_jitter() -> None:
    rng = random.Random(1)
    for failures, ceiling in [(0, 0.2), (1, 0.4), (5, 6.4), (9, 30.0), (5_000, 30.0)]:
        delays = [backoff_seconds(failures, 0.2, 30.0, rng) for _ in range(200)]
        assert ceiling / 2 <= min(delays) < max(delays) <= ceiling
        assert len(set(delays)) > 100


def test_a_connection_is_closed_only_when_it_was_one_too_many_for_long() -> None:
    quiet, busy = replace(SHORT, waiting=0, in_flight=0), replace(SHORT, waiting=1)
    spare = Spare(after_seconds=10)
    assert [spare.is_over(now, quiet) for now in (0, 9, 10, 11)] == [False, False, True, False]
    assert not spare.is_over(20, busy)
    assert [spare.is_over(now, quiet) for now in (21, 30, 31)] == [False, False, True]


def test_a_tick_knows_how_late_it_is_and_what_the_thread_did_since_the_last_one() -> None:
    cpu = iter([5.0, 5.25, 7.25])
    ticks = Ticks(100.0, lambda: next(cpu))
    assert ticks.late_seconds(100.9, 1.0) == 0
    assert ticks.late_seconds(103.0, 1.0) == 2.0
    assert ticks.idle_share(101.0) == 0.75
    assert ticks.idle_share(103.0) == 0.0
