"""Apps on one loop: ready, crashed, not started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import faust

from flow.kafka_tools import create_topic, running, until
from pushcast.stream.batch import Batch, Bounds
from pushcast.stream.fatal import EXIT_CODE
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.transport.host import run_apps, state


class Ignore(Stage):
    async def handle(self, batch: Batch) -> None:
        batch.done_all()


def app_named(name: str, bootstrap_servers: str, topic: str, data_dir: Path) -> faust.App:
    app = make_app(name, bootstrap_servers=bootstrap_servers, partitions=4, data_dir=data_dir)
    add_batch_stage(app, [topic], Ignore(), bounds=Bounds())
    return app


async def test_several_apps_become_ready_together(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    topic = create_topic(kafka, unique("in"))
    # One address that nobody answers: the list is a list.
    apps = [app_named(unique(name), f"127.0.0.1:1,{kafka}", topic, tmp_path) for name in ("a", "b", "c")]
    assert not state(apps[0]).assigned
    async with running(*apps):
        states = [state(app) for app in apps]
        assert {each.recovered and each.assigned for each in states} == {True}
        assert [len(each.partitions) for each in states] == [4, 4, 4]
        assert min(each.last_heartbeat_at for each in states) > 0


async def test_a_member_without_partitions_is_ready(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    topic, group = create_topic(kafka, unique("in"), 1), unique("group")
    apps = []
    for name in ("a", "b"):
        app = make_app(group, bootstrap_servers=kafka, partitions=1, data_dir=tmp_path / name)
        add_batch_stage(app, [topic], Ignore(), bounds=Bounds())
        apps.append(app)
    async with running(*apps):
        # The first one was alone with it for a moment, and gives it back to be shared out anew.
        await until(
            lambda: sorted(len(state(app).partitions) for app in apps) == [0, 1], "one of two has the partition"
        )


async def test_a_crash_of_one_app_ends_all_with_the_exit_code(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic = create_topic(kafka, unique("in"))
    apps = [app_named(unique(name), kafka, topic, tmp_path) for name in ("a", "b")]

    async def crash() -> None:
        await apps[1].crash(RuntimeError("gone"))

    code = await asyncio.wait_for(run_apps(apps, on_ready=crash, stop=asyncio.Event()), 30)
    assert code == EXIT_CODE
    assert all(app.should_stop for app in apps)


async def test_an_unreachable_broker_at_the_start_is_an_exit_code(unique: Callable[[str], str], tmp_path: Path) -> None:
    app = app_named(unique("a"), "127.0.0.1:1", "nowhere", tmp_path)
    assert await asyncio.wait_for(run_apps([app], stop=asyncio.Event()), 30) == EXIT_CODE
