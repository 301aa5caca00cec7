"""Broadcasts through a whole Pushcast: every device of the audience once, and the books closed per partition."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from flow.broadcast_tools import (
    accepted_at_providers,
    balanced,
    followed,
    made_channel,
    planner_of,
    prefers,
    process_of,
    second_planner,
    send,
    walked,
)
from pushcast.audit.reader import Books
from pushcast.demo.load import DeviceOf, make_devices
from pushcast.demo.produce import register
from pushcast.demo.timed import CAPPED_CLASS, DAY_HOUR, NIGHT_HOUR, QUIET_CLASS, preference
from pushcast.demo.world import Options, World
from pushcast.kafka.switchboard import write
from pushcast.model.words import Lane
from pushcast.wire.control.control import Halt, Kind, Name

DEVICES = 3_000

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(lambda text: None, Options(platforms=("apns", "fcm"), transient_errors=0.0)) as made:
        yield made


@pytest.fixture(scope="module")
def devices(world: World) -> list[DeviceOf]:
    """Live devices of APNs and FCM; every third follows a topic."""
    found = [each for each in make_devices(DEVICES, 1) if each.event["platform"] in ("apns", "fcm") and not each.dead]
    for number, device in enumerate(found):
        device.event["topics"] = ["team/arsenal"] if number % 3 == 0 else []
    with Books(world.settings) as books:
        register(world, books, found, lambda step, done, of: None, planners=len(Lane))
    return found


@pytest.fixture
def name(unique: Callable[[str], str]) -> str:
    return unique("b")


def of_app(devices: list[DeviceOf], topic: str | None = None) -> int:
    mine = [each.event for each in devices if each.event["app"] == "news"]
    return sum(topic is None or topic in event["topics"] for event in mine)


def test_fact_12_every_device_of_the_app_gets_it_once(world: World, devices: list[DeviceOf], name: str) -> None:
    before, _ = accepted_at_providers(world)
    found = followed(world, name, send(world, name)).to_dict()
    expected = of_app(devices)
    assert (found["state"], found["partitions_done"], found["planned"], found["ended"]) == (
        "done",
        8,
        expected,
        expected,
    )
    assert found["receipts"] == {"accepted": expected}
    after, duplicates = accepted_at_providers(world)
    assert (after - before, duplicates) == (expected, 0)
    balanced(world)


def test_facts_2_and_10_a_topic_reaches_its_followers_and_one_that_nobody_follows_is_no_error(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    audience = {"topics": ["team/arsenal", "team/nobody"]}
    found = followed(world, name, send(world, name, audience=audience)).to_dict()
    assert found["planned"] == found["ended"] == of_app(devices, "team/arsenal")
    nobody = f"{name}-nobody"
    empty = followed(world, nobody, send(world, nobody, audience={"topics": ["team/nobody"]})).to_dict()
    assert (empty["state"], empty["planned"], empty["receipts"]) == ("done", 0, {})
    balanced(world)


def test_fact_17_the_same_id_again_is_planned_to_nothing(world: World, devices: list[DeviceOf], name: str) -> None:
    audience = {"where": {"platform": "fcm"}}
    assert followed(world, name, send(world, name, audience=audience)).planned > 0
    again = followed(world, name, send(world, name, audience=audience, title="other")).to_dict()
    assert (again["state"], again["planned"]) == ("duplicate", 0)


def test_fact_21_a_count_is_what_a_broadcast_plans(world: World, devices: list[DeviceOf], name: str) -> None:
    accepted, _ = accepted_at_providers(world)
    counted = followed(world, name, send(world, name, count_only=True)).to_dict()
    assert (counted["planned"], counted["receipts"]) == (of_app(devices), {})
    assert accepted_at_providers(world)[0] == accepted
    assert followed(world, name, send(world, name)).planned == of_app(devices)
    balanced(world)


def test_fact_22_a_stop_before_the_event_plans_nothing(world: World, devices: list[DeviceOf], name: str) -> None:
    write(world.settings, Name(Kind.STOP, name), Halt(since_ms=1))
    time.sleep(2.5)  # the control topic is known to every process within 2 s
    stopped = followed(world, name, send(world, name)).to_dict()
    assert (stopped["state"], stopped["planned"]) == ("stopped", 0)
    balanced(world)


def test_fact_30_the_held_out_have_no_receipt(world: World, devices: list[DeviceOf], name: str) -> None:
    variants = [{"name": "a", "share": 4000}, {"name": "b", "share": 4000, "title": "Goal for Arsenal"}]
    found = followed(world, name, send(world, name, split={"variants": variants, "holdout": 2000})).to_dict()
    assert found["held_out"] > 0
    assert found["planned"] + found["held_out"] == of_app(devices)
    assert sum(found["per_variant"].values()) == found["planned"] == found["ended"]
    balanced(world)


def test_fact_23_a_held_broadcast_goes_on_with_the_same_sums(world: World, devices: list[DeviceOf], name: str) -> None:
    write(world.settings, Name(Kind.HOLD, name), Halt(since_ms=1))
    time.sleep(2.5)  # the control topic is known to every process within 2 s
    offset = send(world, name)
    time.sleep(2.0)
    before, _ = accepted_at_providers(world)
    time.sleep(1.0)
    assert accepted_at_providers(world)[0] == before, "nothing leaves while it is held"
    write(world.settings, Name(Kind.HOLD, name), None)
    found = followed(world, name, offset)
    assert (found.state, found.planned) == ("done", of_app(devices))
    balanced(world)


def test_fact_13_a_planner_that_is_killed_in_mid_walk_loses_and_doubles_nothing(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    before, duplicates_before = accepted_at_providers(world)
    offset = send(world, name, pace={"over_seconds": 15})
    for _ in range(3):
        time.sleep(4.0)
        os.kill(planner_of(world), signal.SIGKILL)
    found = followed(world, name, offset).to_dict()
    expected = of_app(devices)
    assert (found["state"], found["planned"], found["receipts"]) == ("done", expected, {"accepted": expected})
    after, duplicates = accepted_at_providers(world)
    assert (after - before, duplicates) == (expected, duplicates_before)
    balanced(world)


def test_fact_14_a_planner_that_sleeps_and_one_that_joins_in_mid_walk_change_no_sum(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    before, duplicates_before = accepted_at_providers(world)
    offset = send(world, name, pace={"over_seconds": 40})
    first = planner_of(world)
    with second_planner(world):  # half of the partitions move to it
        os.kill(first, signal.SIGSTOP)
        time.sleep(world.settings.kafka.session_timeout_seconds + 5)  # and now the others
        os.kill(first, signal.SIGCONT)
        found = followed(world, name, offset).to_dict()
    expected = of_app(devices)
    assert (found["state"], found["planned"], found["receipts"]) == ("done", expected, {"accepted": expected})
    after, duplicates = accepted_at_providers(world)
    assert (after - before, duplicates) == (expected, duplicates_before)
    balanced(world)


def test_steps_reach_everybody_and_the_rest_gets_what_it_had_not(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    steps = [{"share": 3_000, "wait_seconds": 1, "stop_if": {"invalid_share": 0.5}}, {"share": 10_000}]
    audience = {"topics": ["team/arsenal"]}
    stepped = followed(world, name, send(world, name, steps=steps, audience=audience)).to_dict()
    followers = of_app(devices, "team/arsenal")
    assert (stepped["state"], stepped["step"], stepped["planned"]) == ("done", 2, followers)
    rest = f"{name}-rest"
    resent = followed(world, rest, send(world, rest, not_to={"broadcast": name})).to_dict()
    assert (resent["planned"], resent["left_out"]) == (of_app(devices) - followers, {"not_to": followers})
    balanced(world)


def test_a_time_is_waited_for_and_a_topic_of_fcm_and_a_channel_of_apns_are_one_delivery(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    due_ms = round(time.time() * 1000) + 4_000
    timed = followed(world, name, send(world, name, deliver_at=due_ms)).to_dict()
    assert time.time() * 1000 >= due_ms
    assert (timed["state"], timed["planned"], timed["ended"]) == ("done", of_app(devices), of_app(devices))
    topic = f"{name}-topic"
    via = followed(world, topic, send(world, topic, via="fcm_topic", audience={"topics": ["news-uk"]})).to_dict()
    assert (via["state"], via["per_platform"], via["receipts"]) == ("done", {"fcm": 1}, {"accepted": 1})
    score = f"{name}-score"
    channel, live = made_channel(world), {"event": "update", "content_state": {"score": "1:0"}}
    to_channel = {"audience": {"channel": channel}, "options": {"push_type": "liveactivity", "live_activity": live}}
    via = followed(world, score, send(world, score, via="apns_channel", **to_channel)).to_dict()
    assert (via["state"], via["per_platform"], via["receipts"]) == ("done", {"apns": 1}, {"accepted": 1})
    balanced(world)


def of_users(devices: list[DeviceOf]) -> dict[str, int]:
    """How many devices of the app each of its users has."""
    return Counter(each.user for each in devices if each.event["app"] == "news")


def test_users_in_quiet_hours_wait_in_the_keeper_through_kills_and_get_it_once_when_they_travel(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    """Rulings II.8: one record for each user, an account of its own at its release, the broadcast's delivery ids."""
    hour, owners = time.gmtime().tm_hour, of_users(devices)
    asleep = sorted(owners)[:60]
    prefers(world, asleep, preference(NIGHT_HOUR, hour))
    before, duplicates_before = accepted_at_providers(world)
    offset = send(world, name, **{"class": QUIET_CLASS})
    os.kill(planner_of(world), signal.SIGKILL)
    stood, expected = walked(world, name, offset), of_app(devices)
    assert (stood["state"], stood["held"], stood["waiting"]) == ("done", len(asleep), len(asleep))
    assert stood["planned"] == expected - sum(owners[user] for user in asleep)
    os.kill(process_of(world, "registrar-settler-keeper"), signal.SIGKILL)
    prefers(world, asleep, preference(DAY_HOUR, hour))
    os.kill(planner_of(world), signal.SIGKILL)
    found = followed(world, name, offset).to_dict()
    assert (found["waiting"], found["planned"], found["receipts"]) == (0, expected, {"accepted": expected})
    after, duplicates = accepted_at_providers(world)
    assert (after - before, duplicates) == (expected, duplicates_before)
    balanced(world)


def test_a_cap_counts_a_broadcast_and_lets_no_second_one_through(
    world: World, devices: list[DeviceOf], name: str
) -> None:
    owners, expected = of_users(devices), of_app(devices)
    first = followed(world, name, send(world, name, **{"class": CAPPED_CLASS})).to_dict()
    assert (first["held"], first["planned"], first["receipts"]) == (len(owners), expected, {"accepted": expected})
    before, _ = accepted_at_providers(world)
    again = f"{name}-again"
    second = followed(world, again, send(world, again, **{"class": CAPPED_CLASS})).to_dict()
    assert (second["planned"], second["receipts"]) == (len(owners), {"suppressed": len(owners)})
    assert accepted_at_providers(world)[0] == before
    balanced(world)
