"""The demo's load: as many as asked for, the same for the same seed, and taken by the real decoders."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from pushcast.demo.load import (
    APPS,
    PLATFORM_SHARES,
    URGENT_EVENTS,
    Expected,
    make_devices,
    make_flood,
    make_notes,
    make_trickle,
    urgent_count,
    user_count,
)
from pushcast.demo.timed import CLASSES
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder

T0 = 1_800_000_000_000


@pytest.mark.parametrize("count", [1, 2, 7, 100, 2500])
def test_there_are_exactly_as_many_devices_as_asked_for_one_to_four_a_user(count: int) -> None:
    devices = make_devices(count, seed=1)
    owned = Counter(each.user for each in devices)
    assert len(devices) == count
    assert len(owned) == user_count(count)
    assert set(owned.values()) <= {1, 2, 3, 4}
    assert len({each.event["device"] for each in devices}) == count
    tokens = [each.event["token"] for each in devices if each.event["platform"] != "webpush"]
    assert len(set(tokens)) == len(tokens)


def test_the_default_load_is_that_of_the_issue() -> None:
    devices = make_devices(20_000, seed=1)
    assert user_count(20_000) == 8_000
    assert 100 < sum(each.dead for each in devices) < 300
    assert {each.event["app"] for each in devices} == set(APPS)
    platforms = Counter(each.event["platform"] for each in devices)
    assert platforms.keys() == PLATFORM_SHARES.keys()
    for platform, share in PLATFORM_SHARES.items():
        assert abs(platforms[platform] / 20_000 - share) < 0.02


def test_dead_tokens_are_those_that_the_simulators_refuse() -> None:
    for each in make_devices(3000, seed=3):
        if each.event["platform"] != "webpush":
            token = each.event["token"].removeprefix("ExponentPushToken[")
            assert token.startswith(("dead", "unreg")) == each.dead


def test_every_registration_is_valid_once_a_browser_has_its_subscription() -> None:
    decoder = DeviceChangeDecoder(APPS)
    key, secret = "B" + "A" * 86, "A" * 22
    for each in make_devices(500, seed=2):
        event = dict(each.event)
        if event["platform"] == "webpush":
            event["subscription"] = {"endpoint": "https://push.example/1", "p256dh": key, "auth": secret}
        assert decoder.decode(each.user, orjson.dumps(event), T0).address is not None


@pytest.mark.parametrize("count", [1, 2, 3, 10, 999])
def test_there_are_exactly_as_many_notifications_as_asked_for_and_all_are_valid(count: int) -> None:
    decoder = NotificationDecoder(APPS, {name: ClassRule(1000) for name in ("default", "breaking", "code", *CLASSES)})
    notes = list(make_notes(count, make_devices(120, 1), seed=1))
    assert len(notes) == count
    for each in notes:
        decoder.decode(each.user, orjson.dumps(each.event), T0)
    assert len({(each.user, each.event["id"]) for each in notes}) == count, "none is another's duplicate"


def test_equal_content_numbers_have_equal_bodies_and_others_have_their_own() -> None:
    notes = list(make_notes(5000, make_devices(500, 1), seed=1))
    bodies: dict[int, str] = {}
    for each in notes:
        assert bodies.setdefault(each.content, each.event["body"]) == each.event["body"]
    assert len(set(bodies.values())) == len(bodies)


def test_the_three_kinds_have_lanes_of_their_own() -> None:
    devices = make_devices(3000, 1)
    readers = {each.user for each in devices if each.event["app"] == "news"}
    notes = list(make_notes(10_000, devices, seed=1))
    lanes = Counter(each.lane for each in notes)
    assert lanes == {"normal": 4000, "bulk": 5000, "urgent": 1000}
    assert all("app" not in each.event for each in notes if each.lane == "urgent")
    campaigns = Counter(each.event["id"] for each in notes if each.lane == "bulk")
    assert max(campaigns.values()) == len(readers)
    assert {each.user for each in notes if each.lane == "bulk"} == readers


def test_a_few_chats_go_to_users_without_a_device_for_them() -> None:
    devices = make_devices(3000, 1)
    chatters = {each.user for each in devices if each.event["app"] == "chat"}
    strangers = [
        each for each in make_notes(10_000, devices, seed=1) if each.lane == "normal" and each.user not in chatters
    ]
    assert 0 < len(strangers) < 80


def test_the_same_seed_gives_the_same_load_and_another_seed_another() -> None:
    assert make_devices(50, 1) == make_devices(50, 1) != make_devices(50, 2)
    devices = make_devices(50, 1)
    assert list(make_notes(50, devices, 1)) == list(make_notes(50, devices, 1)) != list(make_notes(50, devices, 2))


@pytest.mark.parametrize("count", [1, 9, 10_000, 50_000])
def test_the_urgent_ones_are_a_trickle_of_a_tenth_that_does_not_grow_with_a_large_flood(count: int) -> None:
    devices = make_devices(200, 1)
    flood, trickle = list(make_flood(count, devices, 1)), list(make_trickle(count, devices, 1))
    assert {note.lane for note in trickle} <= {"urgent"}
    assert not any(note.lane == "urgent" for note in flood)
    assert len(trickle) == urgent_count(count) <= URGENT_EVENTS
    assert len(flood) + len(trickle) == count
    assert not {note.content for note in flood} & {note.content for note in trickle}


def test_expected_pushes_are_the_users_devices_in_the_events_app_or_in_all() -> None:
    devices = make_devices(300, 1)
    expected = Expected(devices)
    for note in make_notes(500, devices, 1):
        app = note.event.get("app")
        of_user = [device for device in devices if device.user == note.user]
        reached = sum(app is None or device.event["app"] == app for device in of_user)
        assert expected.of(note) == (reached if note.arrives and not note.cancelled else 0)


def test_some_chats_are_scheduled_and_some_of_these_called_off() -> None:
    devices = make_devices(100, seed=1)
    notes = list(make_notes(2_000, devices, seed=1))
    scheduled = [note for note in notes if note.due_in_seconds]
    assert (len(scheduled), sum(note.cancelled for note in notes)) == (8, 2)
    assert all(note.due_in_seconds for note in notes if note.cancelled)
    assert all(Expected(devices).of(note) == 0 for note in notes if note.cancelled)
