"""Sweeps: what they end, their brake, and how they go through a partition."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, user_row_key
from pushcast.model.user import UserRow
from pushcast.register.sweep import DAY_MS, DEFAULT_RULES, Fate, Phase, Sweep, SweepTally, pass_of
from pushcast.stream.sweeps import ASK_SECONDS, FIRST_SECONDS, SLICE_ROWS
from pushcast.wire.control.control import Halt, Kind, Name, encode
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.headers import CE_ID, first
from pushcast.wire.topics import DEVICE
from unit.register.test_stage import HOME, USER, register
from unit.register.twin import PARTITIONS, T0, Harness, record

DAY_SECONDS = 86_400.0


def row(days_ago: float, platform: str = "apns", device: str = "d", **fields: Any) -> DeviceRow:
    seen_at = T0 - round(days_ago * DAY_MS)
    base: dict[str, Any] = {"registered_at": seen_at, "seen_at": seen_at, "state": "active"}
    return DeviceRow("news", device, platform, "token", b"a", "", b"h" * 16, **{**base, **fields})


@pytest.mark.parametrize(
    ("platform", "days_ago", "fate"),
    [("fcm", 271, Fate.STALE), ("fcm", 270, None), ("apns", 271, None), ("apns", 301, Fate.STALE)],
)
def test_fact_40_fcm_devices_are_stale_after_270_days_and_others_after_300(
    platform: str, days_ago: int, fate: Fate | None
) -> None:
    assert DEFAULT_RULES.fate(row(days_ago, platform), T0) is fate


@pytest.mark.parametrize(("days_ago", "fate"), [(13, None), (15, Fate.MARKER)])
def test_markers_end_after_14_days_from_when_they_were_written(days_ago: int, fate: Fate | None) -> None:
    marker = row(400, state="gone", removed_at=T0 - days_ago * DAY_MS)
    assert DEFAULT_RULES.fate(marker, T0) is fate
    forgotten = UserRow(forgotten_at=T0 - days_ago * DAY_MS)
    assert DEFAULT_RULES.fate(forgotten, T0) is (fate and Fate.FORGOTTEN)


def test_a_user_who_was_never_forgotten_keeps_the_row() -> None:
    assert DEFAULT_RULES.fate(UserRow(at=1), T0) is None


def test_a_tally_counts_devices_that_missed_a_refresh_and_brakes_above_the_share() -> None:
    tally = SweepTally()
    for days_ago in (1, 16, 29, 31, 301):
        each = row(days_ago)
        tally.add(each, DEFAULT_RULES.fate(each, T0), T0)
    assert (tally.devices, tally.overdue, tally.stale) == (5, 2, {"apns": 1})
    assert tally.brakes(0.19)
    assert not tally.brakes(0.2)


def test_a_sweep_that_found_nothing_does_not_look_again() -> None:
    sweep = Sweep(0.0)
    sweep.begin()
    assert sweep.counted(0.05)
    assert sweep.phase is Phase.RESTING


def test_a_confirmation_holds_for_one_day() -> None:
    assert pass_of(T0) != pass_of(T0 + DAY_MS)


async def with_rows(rows: dict[bytes, bytes]) -> Harness:
    """A registrar that owns the partition, whose table has these rows."""
    harness = Harness()
    for key, value in rows.items():
        harness.kafka.append(record(DEVICE, HOME, 0, key, value))
    await harness.take_over(HOME)
    return harness


def fresh(count: int) -> dict[bytes, bytes]:
    return {device_row_key("user-1", "news", f"f-{n}"): encode_row(row(1, device=f"f-{n}")) for n in range(count)}


async def sweep(harness: Harness, seconds: float = FIRST_SECONDS, steps: int = 8) -> None:
    """So much time passes, and then enough for the slices of a pass."""
    await harness.pass_time(seconds)
    for _ in range(steps):
        await harness.pass_time(1.0)
    harness.kafka.tail(HOME)


async def test_fact_40_a_stale_device_leaves_a_marker_with_its_own_time_and_vacates_its_token() -> None:
    stale = device_row_key("user-1", "news", "d")
    harness = await with_rows({**fresh(30), stale: encode_row(row(301))})
    await sweep(harness)
    assert stale not in harness.row_values("user-1")
    marker = harness.gone_rows("user-1")[stale]
    assert (marker.suspended_reason, marker.registered_at) == ("stale", T0 - 301 * DAY_MS)
    [claim] = harness.claims()
    assert claim.over
    assert harness.counters["removals", "stale"] == 1
    assert harness.counters["sweeps", "done"] == 1


async def test_fact_40_a_clock_that_jumps_removes_nothing_until_an_operator_confirms() -> None:
    harness = await with_rows(fresh(30))
    harness.clock.jump_wall(400 * DAY_SECONDS)
    await sweep(harness)
    assert len(harness.row_values("user-1")) == 30
    assert harness.counters["sweeps", "braked"] == 1
    assert harness.stage.figures()["braked"] == 1
    await sweep(harness, ASK_SECONDS)
    assert len(harness.row_values("user-1")) == 30
    word = Name(Kind.SWEEP, pass_of(harness.clock.now_ms()))
    harness.control.apply(word.key(), encode(Halt(since_ms=T0)))
    await sweep(harness, ASK_SECONDS)
    assert harness.row_values("user-1") == {}
    assert harness.stage.figures()["braked"] == 0


async def test_a_word_for_another_day_does_not_lift_the_brake() -> None:
    harness = await with_rows({device_row_key("user-1", "news", "d"): encode_row(row(301))})
    harness.control.apply(Name(Kind.SWEEP, "2026-01-01").key(), encode(Halt(since_ms=T0)))
    await sweep(harness)
    assert len(harness.row_values("user-1")) == 1


async def test_old_markers_become_tombstones_and_preferences_outlive_a_forgetting() -> None:
    old: dict[str, Any] = {"state": "gone", "removed_at": T0 - 15 * DAY_MS}
    plain = partition_of(b"user-15", PARTITIONS)
    assert plain == HOME
    rows = {
        device_row_key("user-1", "news", "d"): encode_row(row(20, **old)),
        user_row_key("user-1"): encode_user_row(UserRow(forgotten_at=T0 - 15 * DAY_MS)),
        user_row_key("user-15"): encode_user_row(UserRow(forgotten_at=T0 - 15 * DAY_MS, at=5, classes={"a": "off"})),
    }
    harness = await with_rows(rows)
    await sweep(harness)
    left = harness.kafka.compacted(HOME)
    assert list(left) == [user_row_key("user-15")]
    assert left[user_row_key("user-15")] == encode_user_row(UserRow(at=5, classes={"a": "off"}))


async def test_a_device_that_registers_while_the_sweep_runs_stays() -> None:
    harness = await with_rows(
        {**fresh(30), device_row_key("user-1", "news", "d-1"): encode_row(row(301, device="d-1"))}
    )
    harness.kafka.acks = False
    await harness.change((USER, register("d-1")))  # on its way to Kafka
    await harness.pass_time(FIRST_SECONDS)
    for _ in range(8):
        await harness.pass_time(1.0)
    harness.kafka.acknowledge()
    assert device_row_key("user-1", "news", "d-1") in harness.row_values("user-1")


async def test_a_partition_is_swept_in_slices_and_again_after_a_day() -> None:
    harness = await with_rows(fresh(SLICE_ROWS + 5))
    await harness.pass_time(FIRST_SECONDS)
    assert harness.counters["sweeps", "done"] == 0
    await harness.pass_time(1.0)
    assert harness.counters["sweeps", "done"] == 1
    await sweep(harness, DAY_SECONDS)
    assert harness.counters["sweeps", "done"] == 2


async def test_a_registrar_that_lost_its_partition_sweeps_nothing() -> None:
    harness = await with_rows({**fresh(30), device_row_key("user-1", "news", "d"): encode_row(row(301))})
    heir = Harness(harness.kafka)
    await heir.take_over(HOME)
    await sweep(harness)
    assert harness.counters["removals", "stale"] == 0


async def test_what_a_sweep_writes_names_no_event() -> None:
    harness = await with_rows({**fresh(30), device_row_key("user-1", "news", "d"): encode_row(row(301))})
    await sweep(harness)
    assert (first(harness.kafka.log[DEVICE, HOME][-1].headers, CE_ID) or b"").startswith(b"sweep/")
