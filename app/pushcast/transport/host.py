"""Several Faust Apps on one event loop, with one end for all."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import faust

from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.fatal import EXIT_CODE, end_process
from pushcast.transport.app_state import AppState
from pushcast.transport.consumer import BatchConsumer
from pushcast.transport.jumps import TopicMadeAnew

logger = logging.getLogger(__name__)


def state(app: faust.App) -> AppState:
    """Figures of an App at this moment; cheap enough for every health probe. On the App's loop only."""
    consumer = app._consumer
    if not isinstance(consumer, BatchConsumer) or consumer.lease is None:
        return AppState(
            app.conf.id,
            assigned=False,
            recovered=False,
            partitions=[],
            last_heartbeat_at=0.0,
            problems=_problems(consumer) if isinstance(consumer, BatchConsumer) else [],
        )
    return AppState(
        app.conf.id,
        assigned=True,
        recovered=consumer.restored,
        partitions=[consumer.state_of(partition) for partition in consumer.partitions.values()],
        last_heartbeat_at=consumer.thread.membership.last_heartbeat_at,
        problems=_problems(consumer),
        earlier=consumer.earlier,
        jumped=consumer.jumped,
        held_seconds={
            f"{tp.topic}[{tp.partition}]": seconds
            for tp, seconds in consumer.waits.held_seconds(boottime_seconds()).items()
        },
    )


def _problems(consumer: BatchConsumer) -> list[str]:
    refused = consumer.thread.membership.refused
    return [*([] if refused is None else [refused]), *consumer.waits.problems()]


async def begin_anew(apps: Sequence[faust.App], topic: str) -> None:
    """Ends the process, because a topic that it reads was deleted and made again."""
    consumers = [app._consumer for app in apps if isinstance(app._consumer, BatchConsumer)]
    unfinished = sum([await consumer.begin_anew(topic) for consumer in consumers])
    end_process(
        f"{topic} was deleted and made again; {unfinished} records of the old log were not finished here",
        TopicMadeAnew(topic),
    )


async def run_apps(
    apps: Sequence[faust.App],
    *,
    on_ready: Callable[[], Awaitable[None] | None] | None = None,
    stop: asyncio.Event,
    stop_seconds: float | None = None,
) -> int:
    """Starts the Apps and runs until `stop` is set, SIGTERM or SIGINT comes, or an App crashes.

    With `stop_seconds` the process ends unacknowledged when stopping takes longer: with Kafka away it would take
    minutes. A second SIGINT does that at once.

    `on_ready` is called once, when every App has started and recovered. Returns 0 after an orderly stop, 70 when an
    App could not start or had crashed (the others are stopped in order). Raises what `on_ready` raises, after stopping
    the Apps. A handler's unexpected exception does not come here: it ends the process unacknowledged, exit code 70.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, _interrupted, stop)
    tasks: list[asyncio.Task[Any]] = []
    try:
        stopping, starting = asyncio.create_task(stop.wait()), asyncio.create_task(_start(apps))
        tasks += stopping, starting
        await asyncio.wait((stopping, starting), return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and (exc := starting.exception()) is not None:
            logger.critical("the Apps did not start: %r", exc, exc_info=exc)
            return EXIT_CODE
        readiness = asyncio.create_task(_ready(apps, on_ready))
        tasks += readiness, *(asyncio.create_task(_ended(app)) for app in apps)
        pending = set(tasks) - {starting}
        while not any(task.done() for task in pending):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if done == {readiness}:
                readiness.result()
                continue
            break
        crashed = [app for app in apps if app.crashed]
        for app in crashed:
            logger.critical("%s crashed: %r", app.conf.id, app.crash_reason)
        return EXIT_CODE if crashed else 0
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(stop_seconds):
                await asyncio.gather(*[app.stop() for app in apps])
        except TimeoutError as exc:
            end_process(f"stopping took longer than {stop_seconds:.0f} s", exc)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _interrupted(stop: asyncio.Event) -> None:
    if stop.is_set():
        end_process("interrupted again while stopping", KeyboardInterrupt())
    stop.set()


async def _start(apps: Sequence[faust.App]) -> None:
    await asyncio.gather(*[app.start() for app in apps])


async def _ended(app: faust.App) -> None:
    await app.wait_until_stopped()


async def _ready(apps: Sequence[faust.App], on_ready: Callable[[], Awaitable[None] | None] | None) -> None:
    while not all(state(app).recovered for app in apps):
        await asyncio.sleep(0.02)
    if on_ready is not None:
        result = on_ready()
        if result is not None:
            await result
