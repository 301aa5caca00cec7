"""The demo's broadcasts: one to all devices of an app, one to those that follow a topic."""

from __future__ import annotations

import time
from typing import Any, Final

import orjson

from pushcast.audit.broadcasts import BroadcastBooks, FoundBroadcast
from pushcast.demo.load import TOPIC
from pushcast.demo.produce import Progress
from pushcast.demo.world import World
from pushcast.kafka.intake import put_one
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import topics

LANE: Final = Lane.BULK
APP: Final = "news"
AUDIENCES: Final[dict[str, dict[str, Any]]] = {"all": {"all": True}, "topic": {"topics": [TOPIC]}}
SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.1


def broadcast(world: World, seed: int, progress: Progress) -> list[dict[str, Any]]:
    """Sends them one after the other, each to its last receipt. Raises PushcastError when one does not end."""
    return [_through(world, f"broadcast-{name}-{seed}", audience, progress) for name, audience in AUDIENCES.items()]


def _through(world: World, name: str, audience: dict[str, Any], progress: Progress) -> dict[str, Any]:
    began = time.monotonic()
    event = {"id": name, "app": APP, "class": "breaking", "title": "To everybody", "body": name, "audience": audience}
    put_one(world.settings, topics.broadcast(LANE), name.encode(), orjson.dumps(event))
    step = f"a broadcast to {orjson.dumps(audience).decode()}"
    with BroadcastBooks(world.settings) as broadcasts:
        found: FoundBroadcast | None = None
        while (found := broadcasts.find(name, [LANE])) is None:
            world.check_roles()
            if time.monotonic() - began > SECONDS:
                raise PushcastError(f"{name} was not spread within {SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        stood = broadcasts.follow(found, SECONDS, lambda now: progress(step, now.ended, now.planned))
    if not stood.finished:
        raise PushcastError(f"{name} has not ended within {SECONDS:.0f} s: {stood.to_dict()}")
    names = ("id", "state", "planned", "per_platform", "receipts", "left_out")
    told = stood.to_dict()
    return {"audience": audience, **{each: told[each] for each in names}, "seconds": round(time.monotonic() - began, 3)}
