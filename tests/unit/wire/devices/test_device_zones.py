"""Where a user is, by the user's devices: the same for everybody who asks."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pushcast.model.ids import user_row_key
from pushcast.model.preferences import NO_WISHES
from pushcast.wire.devices.device_zones import home_of, place_of, zone_of_user
from pushcast.wire.devices.row_reader import active_device
from pushcast.wire.devices.row_tail import seen_at_ms
from unit.walk.twin import T0, row

BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"


def zoned(device: str, zone: str | None, at: int = T0, **fields: Any) -> tuple[bytes, bytes]:
    return row("u", device, time_zone=zone, **{"registered_at": at, "seen_at": at} | fields)


@pytest.mark.parametrize(
    ("rows", "home"),
    [
        ([], None),
        ([zoned("a", None)], None),
        ([zoned("a", BERLIN, T0 - 2), zoned("b", TOKYO, T0 - 1)], TOKYO),
        ([zoned("a", BERLIN, T0 - 1), zoned("b", TOKYO, T0 - 2)], BERLIN),
        ([zoned("a", BERLIN, T0 - 1), zoned("b", None, T0)], BERLIN),
        ([zoned("a", BERLIN, T0 - 1), zoned("b", "Mars/Phobos", T0)], BERLIN),
        ([zoned("a", BERLIN, T0 - 3, seen_at=T0), zoned("b", TOKYO, T0 - 1)], BERLIN),
        ([zoned("a", BERLIN, T0 - 2, seen_at=T0), zoned("b", TOKYO, T0 - 1, seen_at=T0)], TOKYO),
        ([zoned("a", BERLIN, T0 - 1, app="chat"), zoned("b", TOKYO, T0 - 2)], BERLIN),
        ([zoned("a", BERLIN, T0 - 1), zoned("b", TOKYO, T0, state="suspended")], BERLIN),
        ([zoned("a", BERLIN, T0 - 1), zoned("b", TOKYO, T0, state="gone")], BERLIN),
        ([(user_row_key("u"), b"a preference"), zoned("a", BERLIN), (b"u\0news\0z", b"unreadable")], BERLIN),
    ],
)
def test_a_user_is_where_the_active_device_is_that_was_heard_of_last_and_has_a_zone(
    rows: list[tuple[bytes, bytes]], home: str | None
) -> None:
    assert home_of(rows) == (None if home is None else ZoneInfo(home))


def test_devices_that_were_registered_at_once_are_told_apart_by_their_names_in_whatever_order_they_come() -> None:
    rows = [zoned("a", BERLIN), zoned("b", TOKYO)]
    assert home_of(rows) == home_of(rows[::-1]) == ZoneInfo(BERLIN)


def test_nobody_looks_at_the_other_devices_of_one_that_says_where_it_is() -> None:
    def home() -> None:
        raise AssertionError

    device = active_device(*zoned("a", BERLIN))
    assert device is not None
    assert place_of(device, home, NO_WISHES, UTC) == (ZoneInfo(BERLIN), True)


def test_without_any_word_a_user_is_where_the_app_is() -> None:
    assert zone_of_user("news", lambda: None, NO_WISHES, UTC) == UTC
    assert zone_of_user("news", lambda: ZoneInfo(TOKYO), NO_WISHES, UTC) == ZoneInfo(TOKYO)


@pytest.mark.parametrize("seen_at", [0, T0, T0 + 1, 2**53])
def test_when_a_device_was_heard_of_is_read_as_avro_reads_it(seen_at: int) -> None:
    device = active_device(*zoned("a", BERLIN, seen_at=seen_at))
    assert device is not None
    assert device.seen_at is not None, "the short way"
    assert seen_at_ms(device) == seen_at == seen_at_ms(device._replace(seen_at=None))


def test_a_device_whose_row_ends_too_early_was_heard_of_when_it_was_registered() -> None:
    device = active_device(*zoned("a", BERLIN, T0 - 1, seen_at=T0))
    assert device is not None
    assert device.seen_at is not None
    assert seen_at_ms(device._replace(row=device.row[: device.seen_at])) == T0 - 1
