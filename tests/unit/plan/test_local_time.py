"""Local times by the zone of each device: facts S6, S10, S12, S14, S22 and S24 of reference/time.md, with a keeper that
lets every part go at its time."""

from __future__ import annotations

import json

import pytest

from pushcast.config.classes import Class
from pushcast.handover.exact import Inexact
from pushcast.handover.tail import OwnTail
from pushcast.model.ids import delivery_id
from pushcast.model.words import Lane, Platform, Source
from pushcast.model.zones import zone_of
from pushcast.plan.parts import name_of, names_in
from pushcast.stream.batch import TP
from pushcast.wire import topics
from pushcast.wire.devices import device_zones
from pushcast.wire.devices.row_reader import active_device
from pushcast.wire.events import timings
from pushcast.wire.waiting.held import held_of
from twins.holding import ANN, DUE, KEEP, World, at, ms

ZONES = {
    "Pacific/Kiritimati": "2026-12-23T19:00:00Z",
    "Pacific/Chatham": "2026-12-23T19:15:00Z",
    "Australia/Adelaide": "2026-12-23T22:30:00Z",
    "Asia/Tokyo": "2026-12-24T00:00:00Z",
    "Australia/Eucla": "2026-12-24T00:15:00Z",
    "Asia/Kathmandu": "2026-12-24T03:15:00Z",
    "Asia/Kolkata": "2026-12-24T03:30:00Z",
    "Europe/Kyiv": "2026-12-24T07:00:00Z",
    "Europe/Berlin": "2026-12-24T08:00:00Z",
    "America/St_Johns": "2026-12-24T12:30:00Z",
    "America/New_York": "2026-12-24T14:00:00Z",
    "Pacific/Marquesas": "2026-12-24T18:30:00Z",
    "Pacific/Niue": "2026-12-24T20:00:00Z",
    "Etc/GMT+12": "2026-12-24T21:00:00Z",
}


async def test_s6_each_device_gets_it_when_its_own_clock_shows_the_time_and_none_twice() -> None:
    world = World()
    for zone in ZONES:
        world.device(zone, zone)
    await world.send_locally()
    assert world.arrived == {}
    await world.release_all()
    assert world.arrived == {zone: at(instant) for zone, instant in ZONES.items()}
    assert set(world.twice.values()) == {1}
    assert len(world.kept) == len(ZONES)
    assert world.tracker.low == len(ZONES)


async def test_a_part_lives_from_when_it_is_due() -> None:
    world = World()
    world.device("tokyo", "Asia/Tokyo")
    world.device("berlin", "Europe/Berlin")
    await world.send_locally()
    await world.release_all()
    expiries = [part.targets.expires_at for batch in world.harness.batches() for part in batch.messages]
    assert expiries == [[ms("2026-12-25T00:00:00Z")], [ms("2026-12-25T08:00:00Z")]]
    due = [part.notes.due_at for batch in world.harness.batches() for part in batch.messages]
    assert due == [[ms("2026-12-24T00:00:00Z")], [ms("2026-12-24T08:00:00Z")]]


async def test_s16_a_device_whose_own_time_is_over_does_not_get_it_because_another_one_is_due() -> None:
    world = World("2026-12-24T08:00:01Z", default=Class(window_seconds=0, ttl_seconds=1_800))
    world.device("tokyo", "Asia/Tokyo")
    world.device("berlin", "Europe/Berlin")
    await world.send_locally()
    await world.release_all()
    assert world.arrived == {"berlin": "24T08:00Z"}


async def test_s16_parts_that_a_keeper_lets_go_too_late_expire_each_by_itself() -> None:
    world = World(default=Class(window_seconds=0, ttl_seconds=1_800))
    for zone in ("Asia/Tokyo", "Europe/Berlin", "America/New_York"):
        world.device(zone, zone)
    await world.send_locally()
    world.move_to("2026-12-24T08:10:00Z")
    await world.release_all()
    assert world.arrived == {"Europe/Berlin": "24T08:10Z", "America/New_York": "24T14:00Z"}


async def test_s22_a_local_time_that_is_over_asks_the_keeper_whether_it_was_read_before_it_leaves() -> None:
    """It left at once, read or not; what is due later passes the keeper in any case."""
    world = World("2026-12-24T09:00:00Z", promo=Class(window_seconds=0, read_gate=True))
    world.device("berlin", "Europe/Berlin")
    await world.send_locally(klass="promo")
    assert (world.arrived, world.reasons) == ({}, ["read_gate"])
    await world.release_all()
    assert world.arrived == {"berlin": "24T09:00Z"}
    assert set(world.twice.values()) == {1}


async def test_s10_a_device_without_a_zone_has_that_of_its_app() -> None:
    world = World()
    world.device("nowhere", None)
    world.device("mars", "Mars/Phobos")
    await world.send_locally()
    await world.release_all()
    assert world.arrived == {"nowhere": "24T09:00Z", "mars": "24T09:00Z"}
    assert world.harness.counters["zones_assumed", ""] > 0


async def test_the_zone_of_the_user_is_that_of_the_device_that_was_registered_last() -> None:
    world = World()
    world.device("old", "America/New_York", registered_at=1)
    world.device("new", "Asia/Tokyo", registered_at=2)
    world.device("none", None, registered_at=3)
    await world.send_locally(time_zone="user")
    await world.release_all()
    assert world.arrived == dict.fromkeys(("old", "new", "none"), "24T00:00Z")


async def test_s12_who_travels_west_gets_it_later_and_who_had_it_not_again() -> None:
    world = World()
    world.device("phone", "Europe/Berlin")
    world.device("tablet", "Asia/Tokyo")
    await world.send_locally()
    await world.release()
    assert world.arrived == {"tablet": "24T00:00Z"}
    world.device("phone", "America/New_York")
    world.device("tablet", "America/New_York")
    await world.release_all()
    assert world.arrived == {"tablet": "24T00:00Z", "phone": "24T14:00Z"}
    assert set(world.twice.values()) == {1}


async def test_d11_each_device_gets_it_at_the_time_of_the_day_at_which_it_was_seen_last() -> None:
    world = World()
    seen = ms("2026-12-19T17:30:00Z")
    world.device("berlin", "Europe/Berlin", seen_at=seen)
    world.device("tokyo", "Asia/Tokyo", seen_at=seen + 3_600_000)
    world.device("just now", "Europe/Berlin", seen_at=ms("2026-12-19T23:59:00Z"))
    await world.send_locally(deliver_local_at="last_active")
    await world.release_all()
    assert world.arrived == {"berlin": "20T17:30Z", "tokyo": "20T18:30Z", "just now": "20T23:59Z"}
    assert set(world.twice.values()) == {1}


async def test_d11_it_keeps_to_the_clock_on_the_wall_when_clocks_change() -> None:
    world = World("2027-03-27T20:00:00Z")
    world.device("berlin", "Europe/Berlin", seen_at=ms("2027-03-27T08:00:00Z"))  # 09:00 there
    await world.send_locally(deliver_local_at="last_active")
    await world.release_all()
    assert world.arrived == {"berlin": "28T07:00Z"}


async def test_d11_who_is_seen_again_meanwhile_is_due_by_then_and_gets_it_once() -> None:
    world = World()
    world.device("phone", "UTC", seen_at=ms("2026-12-19T09:00:00Z"))
    await world.send_locally(deliver_local_at="last_active")
    world.device("phone", "UTC", seen_at=ms("2026-12-20T08:30:00Z"))
    await world.release_all()
    assert world.arrived == {"phone": "20T09:00Z"}
    assert set(world.twice.values()) == {1}


async def test_s14_who_registers_before_it_is_due_gets_it() -> None:
    world = World()
    await world.send_locally()
    assert len(world.kept) == 1, "it waits for a user without devices, too"
    world.device("late", "America/New_York")
    await world.release_all()
    assert world.arrived == {"late": "24T14:00Z"}


async def test_s14_who_registers_while_it_waits_for_a_later_zone_gets_it_by_its_own_time() -> None:
    """The registrar tells the keeper of a device more in another zone, and the keeper the planner."""
    world = World()
    world.device("york", "America/New_York")
    world.device("tokyo", "Asia/Tokyo")
    await world.send_locally()
    await world.release()
    assert world.arrived == {"tokyo": "24T00:00Z"}
    world.device("berlin", "Europe/Berlin")
    world.device("osaka", "Asia/Tokyo")
    await world.release(zoned=True)
    assert world.arrived == {"tokyo": "24T00:00Z", "osaka": "24T00:00Z"}, "its time is over: at once"
    await world.release_all()
    assert world.arrived == {"tokyo": "24T00:00Z", "osaka": "24T00:00Z", "berlin": "24T08:00Z", "york": "24T14:00Z"}
    assert set(world.twice.values()) == {1}


async def test_s14_other_zones_end_nothing_of_a_user_who_has_no_device_yet() -> None:
    """A keeper that started with another tzdata ended it as `no_devices`, weeks before it was due."""
    world = World()
    await world.send_locally()
    await world.release(zoned=True)
    await world.harness.pass_time(5)
    await world.harness.acknowledge()
    assert (world.harness.receipts(), len(world.kept)) == ([], 2)
    world.device("late", "America/New_York")
    await world.release_all()
    assert world.arrived == {"late": "24T14:00Z"}


async def test_s14_for_a_user_without_devices_it_waits_where_the_user_says_to_be() -> None:
    world = World()
    world.wishes(time_zone="Asia/Tokyo")
    await world.send_locally()
    assert [held_of(each.headers).due_at for each in world.kept] == [ms("2026-12-24T00:00Z")]


async def test_s14_without_a_device_then_it_ends_as_no_devices() -> None:
    world = World()
    await world.send_locally()
    await world.release_all()
    await world.harness.pass_time(5)
    await world.harness.acknowledge()
    assert [receipt["reason"] for receipt in world.harness.receipts()] == ["no_devices"]


@pytest.mark.parametrize(
    ("if_past", "arrived", "reasons"),
    [
        ("send", {"berlin": "24T10:00Z", "york": "24T14:00Z"}, []),
        ("next_day", {"berlin": "25T08:00Z", "york": "24T14:00Z"}, []),
        ("drop", {"york": "24T14:00Z"}, []),
    ],
)
async def test_s22_what_is_over_in_one_zone_and_not_in_another(
    if_past: str, arrived: dict[str, str], reasons: list[str]
) -> None:
    world = World("2026-12-24T10:00:00Z")
    world.device("berlin", "Europe/Berlin")
    world.device("york", "America/New_York")
    await world.send_locally(if_past=if_past)
    await world.release_all()
    assert world.arrived == arrived
    assert [receipt["reason"] for receipt in world.harness.receipts()] == reasons


async def test_s22_what_is_over_everywhere_and_to_be_dropped_is_expired() -> None:
    world = World("2026-12-24T10:00:00Z")
    world.device("berlin", "Europe/Berlin")
    await world.send_locally(if_past="drop")
    await world.harness.acknowledge()
    assert [receipt["reason"] for receipt in world.harness.receipts()] == ["expired"]
    assert world.kept == []


async def test_s24_an_event_for_all_apps_reaches_each_device_once() -> None:
    world = World()
    world.device("one", "Europe/Berlin", app="news")
    world.device("two", "Europe/Berlin", app="chat")
    await world.send_locally()
    await world.release_all()
    assert world.twice == {"one": 1, "two": 1}


async def test_a_planner_whose_clock_is_behind_the_keepers_plans_what_was_let_go() -> None:
    world = World()
    world.device("berlin", "Europe/Berlin")
    await world.send_locally()
    await world.release(skew_seconds=-3)
    assert list(world.arrived) == ["berlin"]
    assert len(world.kept) == 1


class Successor(Inexact):
    """Of a planner that has decided the first part of a due record and died."""

    def __init__(self, keep: bytes | None, sent: tuple[bytes, ...] = ()) -> None:
        self.keep, self.sent = keep, sent

    def tail(self, tp: TP) -> OwnTail:
        found = OwnTail("", committed_offset=0, fenced=0)
        if tp.topic == DUE:
            if self.keep is not None:
                found.add_items(KEEP, [((0, "n-1"), self.keep)])
            found.add_items(topics.send(Platform.APNS, Lane.NORMAL), [((0, "n-1"), each) for each in self.sent])
        return found


async def test_a_keep_record_that_is_there_is_the_decision_whatever_the_zones_say_now() -> None:
    """Rulings II.14."""
    world = World(exact=Successor(keep_name("tokyo", "Asia/Tokyo")))
    world.device("tokyo", "Asia/Tokyo")
    world.device("berlin", "Europe/Berlin")
    await world.send_locally()
    world.device("tokyo", "America/New_York")
    world.device("berlin", "Asia/Tokyo")
    await world.release()
    assert list(world.arrived) == ["tokyo"], "the keeper has the other"
    assert len(world.kept) == 1, "and it is not given back again"
    planned = world.harness.planned_records()[-1]
    assert (planned.source, planned.facts[0].held) == (Source.DUE, 1)


def keep_name(name: str, zone: str) -> bytes:
    """How a keep record names a device of the user."""
    rows = World()
    rows.device(name, zone)
    [device] = [active_device(key, value) for key, value in rows.harness.table.rows[3].items()]
    assert device is not None
    return name_of(device)


TWO = (("tokyo", "Asia/Tokyo"), ("berlin", "Europe/Berlin"))


@pytest.mark.parametrize("zone_now", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("has_kept", [True, False])
async def test_what_a_predecessor_sent_all_of_is_planned_as_due_when_its_receipts_say(
    zone_now: str, *, has_kept: bool
) -> None:
    """Otherwise the service level would count it as due, and so as late, from the event's time on."""
    kept = keep_name("tokyo", "Asia/Tokyo") if has_kept else None
    world = World(exact=Successor(kept, (delivery_id("n-1", ANN, "news", "tokyo"),)))
    for each in TWO:
        world.device(*each)
    await world.send_locally()
    world.device("tokyo", zone_now)
    await world.release()
    assert world.arrived == {}, "it is there already"
    planned = world.harness.planned_records()[-1]
    assert (planned.source, planned.platforms["apns"], planned.facts[0].held) == (Source.DUE, [1], 1)
    assert planned.facts[0].due_at == ms("2026-12-24T00:00:00Z")
    assert planned.facts[0].expires_at == ms("2026-12-25T00:00:00Z")


async def test_what_a_predecessor_had_decided_goes_without_sound_in_quiet_hours_all_the_same() -> None:
    """Rulings II.14: the keep record says which devices, and nothing of how they get it."""
    promo = Class(window_seconds=0, quiet="passive")
    night = [{"from": "22:00", "to": "07:00"}]
    world = World(exact=Successor(keep_name("berlin", "Europe/Berlin")), app={"quiet_hours": night}, promo=promo)
    world.device("berlin", "Europe/Berlin")
    world.device("york", "America/New_York")
    await world.send_locally(klass="promo", deliver_local_at="2026-12-20T23:00", options={"sound": "goal.caf"})
    await world.release()
    assert list(world.arrived) == ["berlin"]
    [batch] = world.harness.batches()
    assert [(part.options.sound, part.options.interruption_level) for part in batch.messages] == [(None, "passive")]


async def test_what_a_predecessor_sent_after_quiet_hours_is_planned_as_due_when_its_receipts_say() -> None:
    world = World(
        "2026-12-01T22:00:00Z",
        Successor(None, (delivery_id("n-1", ANN, "news", "phone"),)),
        app={"quiet_hours": [{"from": "22:00", "to": "07:00"}]},
        promo=Class(window_seconds=0),
    )
    world.device("phone", "Europe/Berlin")
    await world.send(klass="promo")
    await world.release()
    assert world.arrived == {}, "it is there already"
    planned = world.harness.planned_records()[-1]
    assert (planned.source, planned.platforms["apns"]) == (Source.DUE, [1])
    assert planned.facts[0].due_at == ms("2026-12-02T06:00:00Z")


async def test_parts_are_named_in_what_is_given_back() -> None:
    world = World()
    world.device("tokyo", "Asia/Tokyo")
    world.device("berlin", "Europe/Berlin")
    await world.send_locally()
    await world.release()
    [_, back] = world.kept
    held = held_of(back.headers)
    assert (held.part, held.due_at, len(names_in(held.done))) == (1, ms("2026-12-24T08:00:00Z"), 1)
    assert json.loads(back.value or b"")["id"] == "n-1"


@pytest.mark.parametrize("zone", ["device", "Europe/Berlin"])
async def test_s23_by_other_zones_it_is_due_at_another_instant_and_by_the_same_ones_it_waits_on(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.device("berlin", "Europe/Berlin")
    await world.send_locally(time_zone=zone)
    assert [held_of(each.headers).zoned for each in world.kept] == [True]
    await world.release(zoned=True)
    assert world.arrived == {}
    assert held_of(world.kept[1].headers).due_at == ms("2026-12-24T08:00Z")
    law = {"Europe/Berlin": "UTC+02:00"}
    for module in (timings, device_zones):
        monkeypatch.setattr(module, "zone_of", lambda name: zone_of(law.get(name, name)))
    world.harness.stage = world.harness.new_stage()
    await world.release(zoned=True)
    assert held_of(world.kept[2].headers).due_at == ms("2026-12-24T07:00Z")
    await world.release_all()
    assert world.arrived == {"berlin": "24T07:00Z"}
    assert set(world.twice.values()) == {1}


async def test_a_zone_that_is_in_tzdata_no_more_is_none_for_a_device_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.device("phone", "Europe/Berlin")
    world.device("tablet", "Asia/Tokyo")
    await world.send_locally()
    for module in (timings, device_zones):
        monkeypatch.setattr(module, "zone_of", lambda name: None if name == "Europe/Berlin" else zone_of(name))
    world.harness.stage = world.harness.new_stage()
    await world.release_all()
    assert world.arrived == {"tablet": "24T00:00Z", "phone": "24T00:00Z"}, "where the user's other device is"
    assert set(world.twice.values()) == {1}


async def test_an_event_for_a_zone_that_is_in_tzdata_no_more_is_a_dead_letter_that_says_so_and_the_others_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.device("phone", "Europe/Berlin")
    await world.send_locally(time_zone="Europe/Berlin")
    await world.send(2, deliver_at="2026-12-24T18:00:00Z")
    for module in (timings, device_zones):
        monkeypatch.setattr(module, "zone_of", lambda name: None if name == "Europe/Berlin" else zone_of(name))
    world.harness.stage = world.harness.new_stage()
    await world.release_all()
    [letter] = [each for each in world.harness.outbox.log if each.topic == topics.dead_letter(DUE)]
    said = dict(letter.headers)
    assert (said["push.errors.reason"], said["push.errors.field"]) == (b"invalid_field", b"time_zone")
    assert b"n-1" in (letter.value or b""), "it can be redriven, for another zone"
    ended = [(each["notification_id"], each["outcome"], each["reason"]) for each in world.harness.receipts()]
    assert ended == [("n-1", "rejected", "invalid_field")]
    assert world.arrived == {"phone": "24T18:00Z"}


async def test_s23_an_instant_depends_on_no_zone() -> None:
    world = World()
    world.device("berlin", "Europe/Berlin")
    await world.send(deliver_at="2026-12-24T18:00:00Z")
    assert [held_of(each.headers).zoned for each in world.kept] == [False]


async def test_an_event_at_the_end_of_the_calendar_is_a_dead_letter_and_the_planner_goes_on() -> None:
    world = World()
    world.device("east", "Pacific/Kiritimati")
    await world.send_locally(created_at="9999-12-31T00:00:00Z", deliver_local_at="09:00")
    await world.send(2)
    assert len(world.harness.dead_letters()) == 1
    assert world.arrived == {"east": "20T00:00Z"}
