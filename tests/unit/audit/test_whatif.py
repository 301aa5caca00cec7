"""Events of before under another configuration: D10 of reference/time.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from pushcast.audit.rehearsal import Past, Rehearsal
from pushcast.audit.whatif import Comparison, compare
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.wire.devices import encode_row

ANN = "ann"
PARTITION = partition_of(ANN.encode(), 8)
QUIET = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "22:00", "to": "07:00"}]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def settings(app: dict[str, Any] | None = None, **classes: dict[str, Any]) -> Settings:
    return Settings.model_validate({"apps": {"news": app or {}}, "classes": {"default": {}, "promo": {}, **classes}})


def rows(*zones: str) -> dict[str, list[tuple[bytes, bytes]]]:
    found = []
    for zone in zones:
        address = zone.encode()
        times = 1, 1
        row = DeviceRow(
            "news", zone, "fcm", "token", address, "", token_hash(address), "active", *times, time_zone=zone
        )
        found.append((device_row_key(ANN, "news", zone), encode_row(row)))
    return {ANN: sorted(found)}


def event(note_id: str, at: str, **fields: Any) -> Past:
    value = orjson.dumps({"id": note_id, "app": "news", "class": "promo", "title": "t", **fields})
    return Past(0, ANN.encode(), value, (), ms(at))


async def words(config: Settings, *events: Past, zones: tuple[str, ...] = ("UTC",)) -> list[str]:
    rehearsal = Rehearsal(config, Lane.NORMAL, PARTITION, rows(*zones))
    return [fate.words() for fate in await rehearsal.fates(events)]


async def test_the_planner_itself_says_what_would_have_become_of_events() -> None:
    config = settings()
    past = "2026-12-01T12:00:00Z"
    assert await words(
        config,
        event("a", past),
        event("a", past),
        event("b", past, deliver_at="2026-12-01T18:00:00Z"),
        event("c", past, expires_at="2026-12-01T11:00:00Z", created_at="2026-12-01T10:00:00Z"),
        event("d", past, **{"class": "gone"}),
        event("e", past, app="other"),
    ) == ["1 sent", "duplicate", "1 sent after scheduled", "expired expired", "dead_letter", "dead_letter"]


async def test_d10_other_quiet_hours_show_who_would_have_got_it_later() -> None:
    before, after = settings(), settings({"quiet_hours": QUIET})
    found = Comparison()
    events = [event("night", "2026-12-01T23:00:00Z"), event("day", "2026-12-02T12:00:00Z")]
    await compare(before, after, Lane.NORMAL, PARTITION, events, rows("UTC"), found)
    told = found.to_dict()
    assert (told["events"], told["sent_before"], told["sent_after"]) == (2, 2, 2)
    assert {(row["before"], row["after"]) for row in told["fates"]} == {
        ("1 sent", "1 sent after quiet_hours"),
        ("1 sent", "1 sent"),
    }
    [row] = told["changed"]
    assert row["notification"] == "night"
    assert row["left_at_before"] == ms("2026-12-01T23:00:00Z")
    assert ms("2026-12-02T07:00:00Z") <= row["left_at_after"] < ms("2026-12-02T07:05:00Z")


async def test_d10_a_class_that_is_dropped_at_night_sends_less() -> None:
    before, after = settings({"quiet_hours": QUIET}), settings({"quiet_hours": QUIET}, promo={"quiet": "drop"})
    found = Comparison()
    await compare(before, after, Lane.NORMAL, PARTITION, [event("night", "2026-12-01T23:00:00Z")], rows("UTC"), found)
    assert found.fates == {("1 sent after quiet_hours", "suppressed quiet_hours"): 1}
    assert (found.sent_before, found.sent_after) == (1, 0)


async def test_each_device_has_its_own_hour() -> None:
    config = settings({"quiet_hours": QUIET})
    rehearsal = Rehearsal(config, Lane.NORMAL, PARTITION, rows("Europe/Berlin", "America/New_York"))
    [fate] = await rehearsal.fates([event("a", "2026-12-01T21:30:00Z")])
    assert len(fate.leaves) == 2
    assert min(fate.leaves) == ms("2026-12-01T21:30:00Z")
    assert max(fate.leaves) >= ms("2026-12-02T06:00:00Z")


async def test_a_badge_and_a_rate_hold_nothing_up_here() -> None:
    config = settings(promo={"per_minute": 1})
    fates = await words(config, event("a", "2026-12-01T12:00:00Z", options={"badge": "+1"}))
    assert fates == ["1 sent after pace"]
