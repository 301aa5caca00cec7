"""Writes the demo's events as any producer would, and waits until its devices are known to the planners."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from confluent_kafka import Message, Producer

from pushcast.audit.reader import Books
from pushcast.config.settings import Settings
from pushcast.demo.load import DeviceOf
from pushcast.demo.world import World
from pushcast.kafka.clients import client_config, open_producer
from pushcast.model.errors import PushcastError
from pushcast.model.ids import partition_of
from pushcast.wire import groups, topics

REGISTER_SECONDS = 120.0
POLL_SECONDS = 0.2
SUBSCRIPTIONS_AT_ONCE = 1000

Progress = Callable[[str, int, int], None]  # step, done, of
OnDelivery = Callable[[Any, Message], None]  # an error or None, and the record


def producer_of(settings: Settings, **changes: int) -> Producer:
    """Waits for Kafka as long as it takes; keeps order and makes no copies. `changes`: of librdkafka's settings."""
    kafka = settings.kafka
    return open_producer(
        {
            **client_config(kafka.bootstrap_servers, kafka.security),
            "linger.ms": 5,
            "queue.buffering.max.messages": 200_000,
            "message.timeout.ms": 0,
            **changes,
        }
    )


def produce(
    producer: Producer,
    topic: str,
    user: str,
    value: bytes,
    partitions: int,
    timestamp_ms: int,
    on_delivery: OnDelivery | None = None,
) -> None:
    """Puts an event of a user; blocks while the producer's queue is full."""
    key = user.encode()
    while True:
        try:
            producer.produce(
                topic, value, key, partition_of(key, partitions), timestamp=timestamp_ms, on_delivery=on_delivery
            )
        except BufferError:
            producer.poll(0.1)
        else:
            return


def subscribe(world: World, devices: list[DeviceOf]) -> None:
    """Gives every Web Push device a subscription of the simulated push service."""
    waiting: dict[tuple[str, bool], list[DeviceOf]] = {}
    for device in devices:
        if device.event["platform"] == "webpush":
            waiting.setdefault((device.event["app"], device.dead), []).append(device)
    for (app, dead), group in waiting.items():
        for start in range(0, len(group), SUBSCRIPTIONS_AT_ONCE):
            part = group[start : start + SUBSCRIPTIONS_AT_ONCE]
            for device, subscription in zip(part, world.subscribe(app, dead, len(part)), strict=True):
                device.event["subscription"] = subscription


def prefer(settings: Settings, users: Sequence[str], preference: dict[str, Any]) -> None:
    """Each of the users wants the same; returns when Kafka has it."""
    producer, value = producer_of(settings), orjson.dumps(preference)
    now_ms = round(time.time() * 1000)
    for user in users:
        produce(producer, topics.DEVICE_CHANGED, user, value, settings.kafka.partitions, now_ms)
    producer.flush()


def register(world: World, books: Books, devices: list[DeviceOf], progress: Progress, planners: int) -> None:
    """Writes the registrations and waits until that many planners see all of them. Raises PushcastError."""
    producer = producer_of(world.settings)
    now_ms = round(time.time() * 1000)
    for device in devices:
        value = orjson.dumps(device.event)
        produce(producer, topics.DEVICE_CHANGED, device.user, value, world.settings.kafka.partitions, now_ms)
    producer.flush()
    deadline = time.monotonic() + REGISTER_SECONDS
    while True:
        world.check_roles()
        lag = books.lag(groups.REGISTER, topics.DEVICE_CHANGED).records
        unseen = len(devices) if lag else _unseen(world, books, planners, len(devices))
        visible = max(0, len(devices) - unseen)
        progress("devices visible to planners", visible, len(devices))
        if not lag and not unseen:
            return
        if time.monotonic() > deadline:
            raise PushcastError(f"only {visible} of {len(devices)} devices visible after {REGISTER_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _unseen(world: World, books: Books, count: int, devices: int) -> int:
    """Records of the devices topic, rows and fences, that the slowest planner has not applied."""
    ends = books.end_offsets(topics.DEVICE)
    planners = {name: info for name, info in world.infos().items() if name.startswith("planner-")}
    if len(planners) < count:
        return max(1, devices)  # without devices, too: the caller wrote something else that they shall have read
    unseen = []
    for info in planners.values():
        positions = info.get("tables", {}).get("devices", {})
        unseen.append(sum(max(0, end - int(positions.get(str(p), 0))) for p, end in enumerate(ends)))
    return max(unseen)
