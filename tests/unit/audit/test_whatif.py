"""Events of before under another configuration: D10 of reference/time.md."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import orjson
import pytest

from pushcast.audit import rehearsed
from pushcast.audit.rehearsal import Rehearsal
from pushcast.audit.rehearsed import rehearse, shown
from pushcast.audit.rehearsed_fates import Past
from pushcast.audit.whatif import Comparison, compare
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.devices.devices import encode_row

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
    return Past(topics.notification(Lane.NORMAL), 0, ANN.encode(), value, (), ms(at))


async def words(config: Settings, *events: Past, zones: tuple[str, ...] = ("UTC",)) -> list[str]:
    rehearsal = Rehearsal(config, PARTITION, rows(*zones))
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
    await compare(before, after, PARTITION, events, rows("UTC"), found)
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
    await compare(before, after, PARTITION, [event("night", "2026-12-01T23:00:00Z")], rows("UTC"), found)
    assert found.fates == {("1 sent after quiet_hours", "suppressed quiet_hours"): 1}
    assert (found.sent_before, found.sent_after) == (1, 0)


async def test_each_device_has_its_own_hour() -> None:
    config = settings({"quiet_hours": QUIET})
    rehearsal = Rehearsal(config, PARTITION, rows("Europe/Berlin", "America/New_York"))
    [fate] = await rehearsal.fates([event("a", "2026-12-01T21:30:00Z")])
    assert len(fate.leaves) == 2
    assert min(fate.leaves) == ms("2026-12-01T21:30:00Z")
    assert max(fate.leaves) >= ms("2026-12-02T06:00:00Z")


async def test_one_event_is_rehearsed_by_platform_with_the_words_of_what_does_not_leave() -> None:
    config = settings({"quiet_hours": QUIET})
    rehearsal = Rehearsal(config, PARTITION, rows("Europe/Berlin", "America/New_York"))
    [fate] = await rehearsal.fates([event("a", "2026-12-01T21:30:00Z")])
    found = shown(fate)
    assert (found["deliveries"], found["per_platform"], found["held"]) == (2, {"fcm": 2}, ["quiet_hours"])
    assert (found["leaves_at"], found["ends"]) == ("2026-12-01T21:30:00.000Z", {})
    assert found["last_leaves_at"] > "2026-12-02T06"
    [nobody] = await Rehearsal(config, PARTITION, {}).fates([event("a", "2026-12-01T12:00:00Z")])
    assert shown(nobody) == {
        "deliveries": 0,
        "per_platform": {},
        "ends": {"suppressed no_devices": 1},
        "held": [],
        "leaves_at": None,
        "last_leaves_at": None,
    }


async def test_a_door_rehearses_on_a_thread_beside_its_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"ann": rows("UTC")[ANN], "bob": []}
    monkeypatch.setattr(rehearsed, "every_row_of_user", lambda _, user: known[user])
    past = event("a", "2026-12-01T12:00:00Z")
    asked = [
        asyncio.to_thread(rehearse, settings(), Lane.NORMAL, user, past.value or b"", past.at_ms) for user in known
    ]
    ann, bob = await asyncio.gather(*asked)
    assert (ann["per_platform"], bob["ends"]) == ({"fcm": 1}, {"suppressed no_devices": 1})


async def test_a_badge_and_a_rate_hold_nothing_up_here() -> None:
    config = settings(promo={"per_minute": 1})
    fates = await words(config, event("a", "2026-12-01T12:00:00Z", options={"badge": "+1"}))
    assert fates == ["1 sent after pace"]


CAPS = [{"name": "promo-day", "classes": ["promo"], "limit": 2, "window_seconds": 86_400}]


def capped(**cap: Any) -> Settings:
    caps = [{**CAPS[0], **cap}]
    return Settings.model_validate({"apps": {"news": {}}, "classes": {"default": {}, "promo": {}}, "caps": caps})


def beside(topic: str, at: str, **fields: Any) -> Past:
    return Past(topic, 0, ANN.encode(), orjson.dumps(fields), (), ms(at))


async def test_d10_another_cap_shows_who_would_have_got_less() -> None:
    events = [event(str(hour), f"2026-12-01T{hour:02}:00:00Z") for hour in range(9, 13)]
    events.append(event("next day", "2026-12-02T09:00:00Z"))
    found = Comparison()
    await compare(settings(), capped(), PARTITION, events, rows("UTC"), found)
    assert found.fates == {("1 sent", "1 sent"): 3, ("1 sent", "suppressed frequency_cap"): 2}
    assert (found.sent_before, found.sent_after, found.later) == (5, 3, 0)
    assert [row["notification"] for row in found.changed] == ["11", "12"]


async def test_d10_a_cap_counts_over_all_lanes_and_what_has_no_device_gives_its_slot_back() -> None:
    other = event("b", "2026-12-01T09:01:00Z")._replace(topic=topics.notification(Lane.BULK))
    events = event("a", "2026-12-01T09:00:00Z"), other, event("c", "2026-12-01T09:02:00Z")
    assert await words(capped(), *events) == ["1 sent", "1 sent", "suppressed frequency_cap"]
    assert await words(capped(), *events, zones=()) == ["suppressed no_devices"] * 3


async def test_d10_a_cap_that_holds_lets_it_go_when_a_slot_is_free() -> None:
    events = [
        event(str(minute), f"2026-12-01T09:0{minute}:00Z", expires_at="2026-12-03T00:00:00Z") for minute in range(3)
    ]
    rehearsal = Rehearsal(capped(on_exceed="hold"), PARTITION, rows("UTC"))
    *_, last = await rehearsal.fates(events)
    assert (last.words(), last.leaves) == ("1 sent after frequency_cap", [ms("2026-12-02T09:00:00Z")])


async def test_d10_a_digest_is_one_push_of_its_own() -> None:
    config = settings(promo={"digest": {"window_seconds": 600, "title": "{count} new"}})
    events = [event(name, f"2026-12-01T09:0{at}:00Z") for at, name in enumerate("abc")]
    found = Comparison()
    await compare(settings(), config, PARTITION, [*events, event("alone", "2026-12-01T12:00:00Z")], rows("UTC"), found)
    assert found.fates == {("1 sent", "suppressed digested"): 3, ("1 sent", "1 sent after digest"): 1}
    told = found.to_dict()
    assert (told["digests_before"], told["digests_after"]) == (0, 1)
    assert (told["sent_before"], told["sent_after"]) == (4, 2)


async def test_d10_what_was_called_off_or_read_while_it_waited_ends_as_it_did() -> None:
    config = settings(promo={"unless_read_seconds": 60})
    events = (
        event("cancelled", "2026-12-01T09:00:00Z", deliver_at="2026-12-01T12:00:00Z"),
        event("read", "2026-12-01T09:00:10Z"),
        event("sent", "2026-12-01T09:00:11Z"),
        beside(topics.ENGAGEMENT, "2026-12-01T09:00:30Z", event="read", ids=["read"]),
        beside(topics.CANCEL, "2026-12-01T10:00:00Z", ids=["cancelled", "never came"]),
        event("never came", "2026-12-01T11:00:00Z"),
    )
    assert await words(config, *events) == [
        "cancelled cancelled",
        "suppressed read",
        "1 sent after unless_read",
        "cancelled cancelled",
    ]


async def test_d10_a_cancelled_campaign_ends_what_waits_for_it_and_what_comes_after() -> None:
    def word(at: str, value: bytes | None) -> Past:
        return Past(topics.CONTROL, 0, b"cancel/xmas", value, (), ms(at))

    at_noon = {"campaign": "xmas", "deliver_at": "2026-12-01T12:00:00Z"}
    past = (
        event("left", "2026-12-01T08:00:00Z", campaign="xmas"),
        event("waits", "2026-12-01T09:00:00Z", **at_noon),
        event("other", "2026-12-01T09:00:00Z", **at_noon | {"campaign": "easter"}),
        word("2026-12-01T10:00:00Z", b"{}"),
        event("late", "2026-12-01T11:00:00Z", campaign="xmas"),
        word("2026-12-01T13:00:00Z", None),
        event("after", "2026-12-01T14:00:00Z", campaign="xmas"),
    )
    assert await words(settings(), *past) == [
        "1 sent",
        "cancelled cancelled",
        "1 sent after scheduled",
        "cancelled cancelled",
        "1 sent",
    ]


async def test_d10_a_rate_lets_them_leave_one_after_the_other_and_the_late_ones_expire() -> None:
    config = settings(promo={"per_minute": 8, "ttl_seconds": 150})
    events = [event(str(number), "2026-12-01T09:00:00Z") for number in range(4)]
    rehearsal = Rehearsal(config, PARTITION, rows("UTC"))
    found = await rehearsal.fates(events)
    assert [each.words() for each in found] == ["1 sent after pace"] * 2 + ["expired expired"] * 2
    first, second = (each.leaves[0] for each in found[:2])
    assert second - first == 60_000, "eight partitions share eight a minute"
