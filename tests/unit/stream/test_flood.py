from __future__ import annotations

import os
import random

import pytest

from pushcast.config.stages import Flood
from pushcast.model.clock import ManualClock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.stream import fatal
from pushcast.stream.batch import TP
from pushcast.stream.errors import Flooded
from pushcast.stream.flood import FloodGuard

HERE, THERE = TP("push.notification.bulk.v1", 3), TP("push.notification.bulk.v1", 4)
BAD = InvalidInput(Reason.NOT_JSON, "not JSON")


def guard(clock: ManualClock | None = None, **rule: object) -> FloodGuard:
    return FloodGuard(Flood.model_validate(rule), clock or ManualClock())


def test_a_partition_of_which_most_is_invalid_stops_and_says_why() -> None:
    own = guard()
    own.note(HERE, 100, [BAD] * 199)
    with pytest.raises(Flooded) as caught:
        own.note(HERE, 0, [BAD])
    text = str(caught.value)
    assert text.startswith("push.notification.bulk.v1[3]: 200 of the last 300 records are invalid (not_json 200;")
    assert "flood.enabled" in text


def test_ten_thousand_malformed_records_among_a_hundred_thousand_good_ones_are_letters() -> None:
    own, rnd = guard(), random.Random(1)
    kinds = [True] * 10_000 + [False] * 100_000
    rnd.shuffle(kinds)
    for start in range(0, len(kinds), 500):
        bad = sum(kinds[start : start + 500])
        own.note(HERE, 500 - bad, [BAD] * bad)


def test_a_handful_of_bad_records_in_an_idle_partition_never_stops_it() -> None:
    clock = ManualClock()
    own = guard(clock)
    for _ in range(200):
        own.note(HERE, 0, [BAD] * 20)
        clock.advance(3600)


def test_a_slow_flood_is_found_across_the_edge_of_a_window() -> None:
    clock = ManualClock()
    own = guard(clock, window_seconds=100)
    own.note(HERE, 0, [BAD] * 150)
    clock.advance(100)
    with pytest.raises(Flooded):
        own.note(HERE, 0, [BAD] * 50)


def test_what_was_good_long_ago_does_not_excuse_what_is_bad_now() -> None:
    clock = ManualClock()
    own = guard(clock, window_seconds=100)
    own.note(HERE, 1_000_000, [BAD])
    clock.advance(250)
    with pytest.raises(Flooded):
        own.note(HERE, 0, [BAD] * 200)


def test_partitions_are_judged_by_themselves() -> None:
    own = guard()
    own.note(THERE, 0, [BAD] * 199)
    own.note(HERE, 1000, [BAD] * 199)
    own.note(HERE, 1000, [BAD])


def test_it_can_be_switched_off_and_set() -> None:
    guard(enabled=False).note(HERE, 0, [BAD] * 10_000)
    with pytest.raises(Flooded):
        guard(least_records=3, share=0.1).note(HERE, 20, [BAD] * 3)
    guard(least_records=3, share=0.1).note(HERE, 27, [BAD] * 3)


def test_the_process_ends_with_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(fatal.logging, "shutdown", lambda: None)  # type: ignore[attr-defined]
    fatal.end_process("a stage failed", Flooded("too much"))
    fatal.end_process("a stage failed", ValueError("bug"))
    assert codes == [65, fatal.EXIT_CODE]
