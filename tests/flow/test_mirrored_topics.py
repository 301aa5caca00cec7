"""Topics that FCM is told of, through a whole Pushcast: registrations in, subscriptions at FCM's simulator out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from pushcast.demo.world import Options, World
from pushcast.kafka.intake import put_one
from pushcast.wire import topics

TOKEN = "cAbCdEfGhIjKlMnOpQrStU:APA91b" + "z" * 100
SECONDS = 60.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PUSHCAST_APPS__NEWS__FCM__MIRROR_TOPICS", '["breaking", "team-a"]')
    with World(lambda text: None, Options(platforms=("fcm",), transient_errors=0.0)) as made:
        yield made
    patch.undo()


def change(world: World, user: str, op: str, at: int, **fields: Any) -> None:
    event = {"op": op, "app": "news", "device": "phone", "at": at, **fields}
    if op == "register":
        event |= {"platform": "fcm", "token": TOKEN}
    put_one(world.settings, topics.DEVICE_CHANGED, user.encode(), orjson.dumps(event))


def become(world: World, followed: dict[str, int]) -> None:
    deadline = time.monotonic() + SECONDS
    while (found := world.simulators["fcm"].control("/stats")["topics_followed"]) != followed:
        assert time.monotonic() < deadline, (found, world.log_tail())
        time.sleep(0.1)


def test_fcm_follows_the_holder_of_a_token_through_each_of_its_changes(world: World) -> None:
    now = round(time.time() * 1000) - 10_000
    change(world, "anna", "register", now, topics=["breaking", "unmirrored"])
    become(world, {"breaking": 1})
    change(world, "anna", "topics", now + 1, add=["team-a"], remove=["breaking"])
    become(world, {"team-a": 1})
    change(world, "ben", "register", now + 2, topics=["breaking"])  # the phone changes hands
    become(world, {"breaking": 1})
    change(world, "anna", "unregister", now + 3)  # of the former holder: it changes nothing
    change(world, "ben", "topics", now + 4, add=["team-a"])
    become(world, {"breaking": 1, "team-a": 1})
    change(world, "ben", "unregister", now + 5)
    become(world, {})
