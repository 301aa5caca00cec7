"""What tests of broadcasts do with a whole Pushcast."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from pushcast.audit.broadcasts import BroadcastBooks
from pushcast.audit.progress import Progress
from pushcast.audit.reader import Books
from pushcast.demo.produce import prefer, register
from pushcast.demo.world import World, ready
from pushcast.kafka.intake import put_one
from pushcast.model.words import Lane
from pushcast.providers.registry import build_channels
from pushcast.runtime import whereabouts
from pushcast.runtime.child import child_command
from pushcast.wire import topics

LANE = Lane.BULK
SECONDS = 120.0


def send(world: World, name: str, **fields: Any) -> int:
    # A text of its own: the simulators know a copy by its token and body.
    event = {"id": name, "app": "news", "title": f"Goal! {name}", "audience": {"all": True}, **fields}
    return put_one(world.settings, topics.broadcast(LANE), name.encode(), orjson.dumps(event))


def made_channel(world: World) -> str:
    """A channel of Live Activities at the simulator, which serves Apple's hosts on one port."""
    news = world.settings.apps["news"]
    assert news.apns is not None
    there = news.apns.model_copy(update={"channels_endpoint": news.apns.endpoint})
    settings = world.settings.model_copy(update={"apps": {"news": news.model_copy(update={"apns": there})}})

    async def create() -> str:
        channels = build_channels("news", settings)
        try:
            return await channels.create()
        finally:
            await channels.close()

    return asyncio.run(create())


def followed(world: World, name: str, offset: int) -> Progress:
    deadline = time.monotonic() + SECONDS
    with BroadcastBooks(world.settings) as broadcasts:
        while True:
            spread = broadcasts.spread([LANE])
            mine = [each for each in spread if (each.order.broadcast, each.order.intake_offset) == (name, offset)]
            if mine:
                progress = broadcasts.follow(mine[0], SECONDS)
                assert progress.finished, progress.to_dict()
                return progress
            assert time.monotonic() < deadline, world.log_tail()


def walked(world: World, name: str, offset: int) -> dict[str, Any]:
    """How it stands once every partition is walked, whatever the keeper still holds."""
    deadline = time.monotonic() + SECONDS
    with BroadcastBooks(world.settings) as broadcasts:
        while True:
            for each in broadcasts.spread([LANE]):
                if (each.order.broadcast, each.order.intake_offset) == (name, offset):
                    progress = broadcasts.follow(each, SECONDS, once=True)
                    if progress.walked:
                        return progress.to_dict()
            assert time.monotonic() < deadline, world.log_tail()
            time.sleep(0.2)


def prefers(world: World, users: Sequence[str], preference: dict[str, Any]) -> None:
    """Users want something; returns when every planner knows it."""
    prefer(world.settings, users, preference)
    with Books(world.settings) as books:
        register(world, books, [], lambda step, done, of: None, planners=len(Lane))


def balanced(world: World) -> Any:
    with Books(world.settings) as books:
        totals = books.reckon(None)
    assert totals.balanced, totals.to_dict()
    assert not totals.walking
    return totals


def accepted_at_providers(world: World) -> tuple[int, int]:
    stats = world.simulator_stats().values()
    return sum(each["accepted"] for each in stats), sum(int(each["duplicates"]) for each in stats)


def planner_of(world: World) -> int:
    """Process id of the lane's planner."""
    return process_of(world, f"planner-{LANE}")


def process_of(world: World, name: str) -> int:
    """Process id of a role, which the supervisor starts again when it is killed."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = [entry.pid for entry in whereabouts.read_all(world.settings.data_dir) if entry.name == name]
        if found:
            return found[0]
        assert time.monotonic() < deadline, world.log_tail()
        time.sleep(0.1)


@contextmanager
def second_planner(world: World) -> Iterator[int]:
    """One more planner of the lane, ready; yields its process id."""
    command = child_command("run", "planner", "--lane", LANE, "--slot", "second")
    process = subprocess.Popen(command, stdout=world.log_file, stderr=world.log_file, env=world.environment)
    try:
        deadline = time.monotonic() + SECONDS
        while not any(
            each.pid == process.pid and ready(each) for each in whereabouts.read_all(world.settings.data_dir)
        ):
            assert time.monotonic() < deadline, world.log_tail()
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)
