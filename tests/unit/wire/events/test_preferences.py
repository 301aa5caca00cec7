"""Op `prefer`: what it may say, and which field a refusal names (fact Q11 of reference/time.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.device import DeviceChange, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.quiet import DAYS, MAX_WINDOWS
from pushcast.model.user import QuietHours, UserRow
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.preferences import MAX_CHOICES, shown_preferences
from pushcast.wire.schemas import avro_type

NOW = 1_800_000_000_000
NIGHT = {"from": "22:00", "to": "07:00"}
decode = DeviceChangeDecoder(["news"]).decode


def read(**fields: Any) -> DeviceChange:
    return decode("u", json.dumps({"op": "prefer"} | fields).encode(), NOW)


def test_it_says_what_a_user_wants_in_all_apps_or_in_one() -> None:
    said = {
        "time_zone": "Europe/Berlin",
        "quiet_hours": [NIGHT, {"from": "13:00", "to": "14:00", "days": ["sat", "sun"]}],
        "classes": {"marketing": "off", "chat": "on"},
        "threads": {"t1": "off"},
        "muted_until": "2027-02-01T00:00:00Z",
        "at": NOW - 5,
    }
    row = UserRow(
        None,
        NOW - 5,
        "Europe/Berlin",
        (QuietHours(DAYS, "22:00", "07:00"), QuietHours(("sat", "sun"), "13:00", "14:00")),
        {"marketing": "off", "chat": "on"},
        {"t1": "off"},
        1_801_440_000_000,
    )
    change = read(**said)
    assert (change.op, change.app, change.preferences) == (Operation.PREFER, "", row)
    assert read(app="news", **said).app == "news"
    shown = shown_preferences(row)
    assert read(**shown).preferences == row, "what people read can be written again"


def test_avro_says_the_same() -> None:
    datum = {
        "op": "prefer",
        "quiet_hours": [{"days": ["mon"], "from": "22:00", "to": "07:00"}],
        "classes": {"marketing": "off"},
        "time_zone": "Asia/Tokyo",
    }
    change = decode("u", avro_type("device_change").encode(datum), NOW)
    assert change.preferences == UserRow(
        None, NOW, "Asia/Tokyo", (QuietHours(("mon",), "22:00", "07:00"),), {"marketing": "off"}
    )


def test_nothing_at_all_is_a_choice_too() -> None:
    assert read().preferences == UserRow(at=NOW)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"quiet_hours": [{"from": "22:00", "to": "22:00"}]}, "quiet_hours"),
        ({"quiet_hours": [NIGHT] * (MAX_WINDOWS + 1)}, "quiet_hours"),
        ({"quiet_hours": [{"from": "24:00", "to": "07:00"}]}, "quiet_hours"),
        ({"quiet_hours": [{"from": "9:00", "to": "10:00"}]}, "quiet_hours"),
        ({"quiet_hours": [NIGHT | {"days": ["friday"]}]}, "quiet_hours"),
        ({"quiet_hours": [NIGHT | {"days": []}]}, "quiet_hours"),
        ({"time_zone": "Mars/Phobos"}, "time_zone"),
        ({"classes": {"promo": "maybe"}}, "classes.promo"),
        ({"classes": {f"c{number}": "off" for number in range(MAX_CHOICES + 1)}}, "classes"),
        ({"threads": {f"t{number}": "off" for number in range(MAX_CHOICES + 1)}}, "threads"),
        ({"threads": {"t" * 300: "off"}}, "threads"),
        ({"muted_until": "tomorrow"}, "muted_until"),
        ({"app": "unknown"}, "app"),
        ({"device": "d"}, "device"),
        ({"token": "t"}, "token"),
    ],
)
def test_q11_a_refusal_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(**fields)
    assert caught.value.field == field


def test_limits_themselves_are_within() -> None:
    assert read(quiet_hours=[NIGHT] * MAX_WINDOWS, classes={f"c{number}": "off" for number in range(MAX_CHOICES)})


def test_another_op_cannot_say_it() -> None:
    event = {"op": "register", "app": "news", "device": "d", "platform": "apns", "token": "t", "classes": {}}
    with pytest.raises(InvalidInput) as caught:
        decode("u", json.dumps(event).encode(), NOW)
    assert caught.value.field == "classes"
