"""A usual notification goes into its window in one go: as it would step by step."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.plan.entry import Entry
from pushcast.plan.windows import PartitionWindows, WindowLimits
from unit.plan.test_windows import BATCH, device, note, rules

texts = st.sampled_from(["Goal!", "ü" * 40, "x" * 900])
events = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["u", "user-2", "ü" * 30]),
        "note_id": st.sampled_from(["n", "m", "x" * 90]),
        "title": texts,
        "class": st.sampled_from(["default", "slow"]),
    },
    optional={
        "trace": st.sampled_from(["", "00-ab-cd-01"]),
        "created_at": st.sampled_from([1_800_000_000_000, 1_800_000_000_001]),
        "options": st.sampled_from([{"dry_run": True}, {"thread_id": "t"}, {"sound": "bell"}]),
    },
)
targets = st.fixed_dictionaries(
    {
        "app": st.sampled_from(["news", "chat"]),
        "platform": st.sampled_from(["apns", "fcm"]),
        "token": st.binary(min_size=1, max_size=200),
    },
    optional={"app_version": st.sampled_from([None, "7.1"])},
)
limits = st.builds(
    WindowLimits,
    max_targets=st.integers(1, 5),
    max_batch_bytes=st.sampled_from([2_000, 5_000, 524_288]),
    max_open_records=st.integers(1, 9),
    max_open_bytes=st.sampled_from([3_000, 1 << 20]),
    removable=st.sampled_from([frozenset(), frozenset({"slow"})]),
)


def closed(windows: PartitionWindows) -> list[Any]:
    windows.close_all()
    found = []
    while windows.has_closed:
        window = windows.take_closed()
        counts = [(entry.counts, entry.open, entry.note) for entry in window.entries]
        found.append((window.encode("normal"), window.bytes, window.weight, window.targets, window.closes_at, counts))
    return found


@settings(max_examples=300, deadline=None)
@given(limits, st.lists(st.tuples(events, targets, st.integers(1, 400)), max_size=12))
def test_one_go_makes_the_windows_that_each_step_makes(limit: WindowLimits, given_: list[tuple[Any, Any, int]]) -> None:
    whole, stepwise = PartitionWindows(rules(), limit), PartitionWindows(rules(), limit)
    for offset, (event, target, weight) in enumerate(given_):
        made, reached = note(**event), device(event["user"], f"d-{offset}", **target)
        whole.add_usual(Entry(BATCH, offset, weight, made), made, reached, offset / 100)
        stepwise.add(Entry(BATCH, offset, weight, made), [reached], offset / 100)
    assert closed(whole) == closed(stepwise)
