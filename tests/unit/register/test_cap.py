"""How many devices a user may have in an app."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from pushcast.model.device import DeviceRow
from pushcast.register import rows
from pushcast.register.cap import over_cap, spare_markers
from pushcast.wire.headers import first
from pushcast.wire.topics import DEVICE
from unit.register.test_stage import HOME, USER
from unit.register.twin import T0, Harness

TOKENS = {"X": "aa", "Y": "bb", "A": "cc", "Z": "dd"}


def register(device: str, at: int, app: str = "news", token: str | None = None) -> tuple[bytes, bytes]:
    """At T0 - 100 + `at`."""
    event: dict[str, Any] = {"op": "register", "app": app, "device": device, "platform": "apns", "at": T0 - 100 + at}
    return USER, orjson.dumps({**event, "token": (token or TOKENS[device]) * 32})


def devices(harness: Harness) -> set[str]:
    return {key.decode().rpartition("\0")[2] for key in harness.row_values("user-1")}


@pytest.mark.parametrize("tailed", [False, True])
async def test_fact_39_the_oldest_makes_room_a_late_one_is_refused_and_a_refresh_costs_nobody(tailed: bool) -> None:
    harness = Harness(max_per_user=2)

    async def comes(device: str, at: int) -> set[str]:
        await harness.change(register(device, at))
        if tailed:
            harness.kafka.tail(HOME)
        return devices(harness)

    await comes("X", 1)
    assert await comes("Y", 2) == {"X", "Y"}
    assert await comes("A", 3) == {"Y", "A"}
    assert await comes("Z", 0) == {"Y", "A"}
    assert await comes("Y", 4) == {"Y", "A"}
    assert harness.counters["registrations", "over_cap"] == 1
    assert harness.counters["removals", "over_cap"] == 1
    markers = {key.decode().rpartition("\0")[2]: row for key, row in harness.gone_rows("user-1").items()}
    assert {device: row.suspended_reason for device, row in markers.items()} == {"X": "over_cap", "Z": "over_cap"}
    assert markers["X"].registered_at == T0 - 99


async def test_a_removed_device_vacates_its_token_and_a_refused_one_says_whose_its_token_was() -> None:
    harness = Harness(max_per_user=1)
    await harness.change(register("X", 1), register("Y", 2), register("Z", 0))
    told = sorted((claim.registration.key[-1:].decode(), claim.over) for claim in harness.claims())
    assert told == [("X", False), ("X", True), ("Y", False), ("Z", False), ("Z", True)]


async def test_each_app_has_a_cap_of_its_own() -> None:
    harness = Harness(max_per_user=1)
    await harness.change(register("X", 1), register("Y", 2, app="chat"))
    assert devices(harness) == {"X", "Y"}


async def test_a_device_that_is_installed_anew_with_its_token_costs_no_other_device() -> None:
    harness = Harness(max_per_user=2)
    await harness.change(register("X", 1), register("Y", 2), register("Z", 3, token=TOKENS["Y"]))
    assert devices(harness) == {"X", "Z"}
    [marker] = harness.gone_rows("user-1").values()
    assert (marker.device, marker.suspended_reason) == ("Y", "token_moved")


async def test_a_device_that_lost_its_token_to_a_new_one_and_comes_back_with_another_is_a_new_device() -> None:
    """The law of ownership found that it went beyond the cap when it came back before its eviction."""
    harness = Harness(max_per_user=1)
    await harness.change(register("X", 1), register("Y", 2, token=TOKENS["X"]), register("X", 3, token=TOKENS["Z"]))
    assert devices(harness) == {"X"}


async def test_removed_devices_do_not_count() -> None:
    harness = Harness(max_per_user=1)
    gone = orjson.dumps({"op": "unregister", "app": "news", "device": "X", "at": T0 - 50})
    await harness.change(register("X", 1), (USER, gone), register("Y", 2))
    assert devices(harness) == {"Y"}
    assert [first(row.headers, "push-reason") for row in harness.kafka.log[DEVICE, HOME]].count(b"over_cap") == 0


def row(at: int, **fields: Any) -> DeviceRow:
    base = DeviceRow("news", "d", "apns", "token", b"a", "", bytes([at]) * 16, "active", at, at)
    return msgspec.structs.replace(base, **fields)


def test_suspended_devices_go_before_older_ones() -> None:
    known = {b"old": row(1), b"suspended": row(5, state="suspended")}
    assert over_cap(known, b"new", row(9), 2) == [b"suspended"]


def test_a_lowered_limit_is_reached_with_the_next_new_device() -> None:
    known = {b"%d" % at: row(at) for at in range(1, 6)}
    assert over_cap(known, b"new", row(9), 2) == [b"1", b"2", b"3", b"4"]
    assert over_cap(known, b"new", row(0), 2) == [b"new"]


def test_markers_beyond_the_limit_are_those_that_were_written_first() -> None:
    known = {f"{at}".encode(): row(at, state="gone", removed_at=at) for at in range(4)} | {b"live": row(0)}
    assert spare_markers(known, 2) == [b"0", b"1"]
    assert spare_markers(known, 4) == []


async def test_removed_devices_without_end_leave_so_many_markers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input of issue 13: a million `gone` rows. Each event of a user reads all of the user's rows."""
    monkeypatch.setattr(rows, "MAX_MARKERS", 5)
    harness = Harness(max_per_user=1)
    unknown = [{"op": "unregister", "app": "news", "device": f"u-{n}", "at": T0 - 50} for n in range(10)]
    await harness.change(register("X", 1), *[(USER, orjson.dumps(event)) for event in unknown])
    assert len(harness.gone_rows("user-1")) == 5
    for number in range(10):
        await harness.change(register(f"d-{number}", 10 + number, token=f"{number:02}"))
    assert devices(harness) == {"d-9"}
    assert len(harness.gone_rows("user-1")) == 5
    assert harness.counters["markers_dropped", ""] == 15
