"""When a broadcast with a time is due, and which devices each instant takes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pushcast.model.broadcast import Broadcast
from pushcast.model.instants import Zones, instants_of
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.times import to_ms

CREATED = to_ms("2026-12-01T00:00:00Z", "created_at", 0)
DECODER = BroadcastDecoder({"news"}, {"default": ClassRule(3_600_000)})


def broadcast(**fields: Any) -> Broadcast:
    event = {"id": "b-1", "app": "news", "audience": {"all": True}, "title": "x", "created_at": CREATED, **fields}
    return DECODER.decode(None, json.dumps(event).encode(), CREATED).broadcast


def at(text: str) -> int:
    return to_ms(text, "at", 0)


def orders(default: str = "UTC", **fields: Any) -> list[Broadcast]:
    """The broadcast as each of its orders has it."""
    made = broadcast(**fields)
    instants = tuple(instants_of(made.note, default))
    return [msgspec.structs.replace(made, instants=instants, step=number + 1) for number in range(len(instants))]


def takers(made: list[Broadcast], zone: str | None, **columns: Any) -> list[int]:
    """When the orders that take a device are due."""
    row = {"time_zone": zone, "zone_before": None, "zone_at": None, **columns}
    return [each.instants[each.step - 1].at for each in made if Zones(each).takes(row)]


CHRISTMAS = {"deliver_local_at": "2026-12-24T09:00"}


def test_one_time_for_all_takes_every_device() -> None:
    made = orders(deliver_at="2026-12-24T18:00:00Z")
    assert takers(made, "Asia/Tokyo") == takers(made, None) == [at("2026-12-24T18:00:00Z")]
    made = orders(**CHRISTMAS, time_zone="Europe/Berlin")
    assert takers(made, "Asia/Tokyo") == [at("2026-12-24T08:00:00Z")]


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("Pacific/Kiritimati", "2026-12-23T19:00:00Z"),
        ("Asia/Tokyo", "2026-12-24T00:00:00Z"),
        ("Asia/Kathmandu", "2026-12-24T03:15:00Z"),
        ("Europe/Berlin", "2026-12-24T08:00:00Z"),
        ("America/New_York", "2026-12-24T14:00:00Z"),
        ("Pacific/Niue", "2026-12-24T20:00:00Z"),
        ("Etc/GMT+12", "2026-12-24T21:00:00Z"),
    ],
)
def test_s6_every_zone_has_one_instant(zone: str, due: str) -> None:
    assert takers(orders(**CHRISTMAS), zone) == [at(due)]


def test_s10_a_device_without_a_zone_or_with_none_that_there_is_has_the_apps() -> None:
    for zone in (None, "Mars/X"):
        assert takers(orders("Europe/Berlin", **CHRISTMAS), zone) == [at("2026-12-24T08:00:00Z")]
        assert takers(orders(**CHRISTMAS), zone) == [at("2026-12-24T09:00:00Z")]


def test_a_fixed_offset_has_its_own_instant_or_the_next_one() -> None:
    made = orders(**CHRISTMAS)
    assert takers(made, "UTC+05:30") == [at("2026-12-24T03:30:00Z")]
    assert takers(made, "UTC+05:29") == [at("2026-12-24T04:00:00Z")]
    assert takers(made, "UTC-14:00") == [at("2026-12-24T21:00:00Z")]  # behind the last of them


@pytest.mark.parametrize(
    ("default", "due"),
    [
        ("UTC+03:15", "2026-12-24T06:00:00Z"),
        ("UTC-02:30", "2026-12-24T12:00:00Z"),
        ("UTC-14:00", "2026-12-24T21:00:00Z"),
    ],
)
def test_a_device_without_a_zone_has_a_fixed_offset_of_its_app_as_a_device_that_has_it(default: str, due: str) -> None:
    """No zone has that offset, so no instant was theirs: the broadcast passed by all devices without a zone."""
    made = orders(default, **CHRISTMAS)
    assert takers(made, None) == takers(made, default) == [at(due)]


def test_rulings_5_a_device_keeps_the_zone_of_the_first_instant() -> None:
    made = orders(**CHRISTMAS)
    first_at = made[0].instants[0].at
    moved = {"zone_before": "Asia/Tokyo"}
    tokyo, new_york = at("2026-12-24T00:00:00Z"), at("2026-12-24T14:00:00Z")
    assert takers(made, "America/New_York", **moved, zone_at=first_at + 1) == [tokyo]
    assert takers(made, "America/New_York", **moved, zone_at=first_at) == [new_york]


def test_each_instant_has_its_expiry_unless_the_event_has_one_for_all() -> None:
    assert all(each.expires_at == each.at + 3_600_000 for each in orders(**CHRISTMAS)[0].instants)
    until = at("2026-12-24T12:00:00Z")
    assert {each.expires_at for each in orders(**CHRISTMAS, expires_at=until)[0].instants} == {until}


def test_what_is_over_is_dropped_where_it_is_over() -> None:
    past = {"deliver_local_at": "2026-11-30T23:30", "if_past": "drop"}
    made = orders(**past)
    assert takers(made, "Asia/Tokyo") == []
    assert takers(made, "America/New_York") == [at("2026-12-01T04:30:00Z")]
    assert orders(**{**past, "deliver_local_at": "2026-11-01T09:00"}) == []
