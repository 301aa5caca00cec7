"""One app's provider breaks, another's does not: senders, the settler and the control topic on a real Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from flow.kafka_tools import DEADLINE_SECONDS, produce, read_all, running, seen, until
from pushcast.config.settings import Settings
from pushcast.kafka.control import ControlTail
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.headers import headers_of
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.kafka.switchboard import read_state, write
from pushcast.kafka.topics import load_topology
from pushcast.kafka.topics.cluster import apply
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.clock import SystemClock
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content, Options
from pushcast.model.words import Lane, Platform
from pushcast.runtime.hosted import Hosted, host
from pushcast.simulators import Simulator, start
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.control.control import Kind, Pause, Subject
from pushcast.wire.sending.batches import decode_batch, encode_batch
from pushcast.wire.sending.parked import parked_of

PARTITIONS = 4
TARGETS = 40
APNS, URGENT = Platform.APNS, Lane.URGENT
SEND = topics.send(APNS, URGENT)
HOUR_MS = 3_600_000


def batch(app: str, name: str) -> bytes:
    """Another notification for the same devices, each with a token of its own."""
    targets, now_ms = Targets(), SystemClock().now_ms()
    for number in range(TARGETS):
        user, address = f"{app}-{number}", f"{number:064x}".encode()
        delivery = delivery_id(name, user, app, "d")
        row = (0, user, "d", delivery, 0, address, "", token_hash(address), now_ms, number, now_ms + HOUR_MS, 0)
        for column, value in zip(targets.columns(), row, strict=True):
            column.append(value)
    message = Message(app, "default", Content("Goal!"), Options(), bytes(16), [name], [now_ms], [""], targets)
    return encode_batch(SendBatch("urgent", "apns", [message]))


class World(NamedTuple):
    kafka: str
    settings: Settings
    hosted: Hosted
    news: Simulator
    chat: Simulator

    def send(self, app: str, *names: str) -> None:
        records = [(number % PARTITIONS, None, batch(app, name)) for number, name in enumerate(names)]
        produce(self.kafka, SEND, records)

    def parked(self) -> Counter[str]:
        """Deliveries in the parked topic by app, each as often as it was put there."""
        found: Counter[str] = Counter()
        for record in read_all(self.kafka, topics.PARKED, PARTITIONS):
            headers = record.headers()
            if record.value() is not None and headers is not None:
                app = parked_of([(name, value or b"") for name, value in headers_of(record)]).app
                found[app] += decode_batch(record.value() or b"").target_count
        return found

    def receipts(self) -> Counter[tuple[str, str]]:
        """Distinct deliveries that ended, by app and outcome."""
        values = [record.value() for record in read_all(self.kafka, topics.RECEIPT, PARTITIONS)]
        read = [decode_receipt(value) for value in values if value]  # fences have none
        ended = {receipt["delivery_id"]: (receipt["app"], receipt["outcome"]) for receipt in read}
        return Counter(ended.values())


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A sender and a settler of a cluster of their own; each app has an APNs of its own."""
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(temporary_cluster())
        kafka = cluster.bootstrap_servers
        await asyncio.to_thread(apply, {"bootstrap.servers": kafka}, load_topology(), PARTITIONS, 1)
        news = await stack.enter_async_context(start("apns", work_dir=tmp_path / "news"))
        chat = await stack.enter_async_context(start("apns", work_dir=tmp_path / "chat"))
        settings = Settings.model_validate(
            {
                "kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS},
                "data_dir": tmp_path / "data",
                "retry": {"rungs_seconds": [0.2, 0.2, 0.2, 0.2]},
                "park": {"pass_seconds": 1.0, "probe_seconds": 0.2},
                "send": {"breaker": {"failures_for_seconds": 0, "open_seconds": 0.5, "max_open_seconds": 1}},
                "apps": {
                    name: {"apns": provider_settings(simulator.describe())}
                    for name, simulator in (("news", news), ("chat", chat))
                },
            }
        )
        failures: list[object] = []
        outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
        stack.push_async_callback(outbox.close)
        hosted = host(settings, ["sender", "settler"], [URGENT], [APNS], None, outbox)
        for resource in hosted.resources:
            await resource.start()
            stack.push_async_callback(resource.close)
        tail = ControlTail(kafka, None, hosted.control, fatal=lambda *problem: failures.append(problem))
        await tail.start(DEADLINE_SECONDS)
        stack.push_async_callback(tail.close)
        async with running(*hosted.apps):
            yield World(kafka, settings, hosted, news, chat)
        assert failures == []


async def test_a_dead_provider_costs_its_own_app_time_and_the_others_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.news.set_rules([{"effect": "status:503"}])
        here.send("news", *[f"n{n}" for n in range(4)])
        await until(lambda: here.hosted.control.held("news", APNS, URGENT), "the breaker opens and says so")
        here.send("news", *[f"more{n}" for n in range(8)])
        here.send("chat", *[f"c{n}" for n in range(8)])
        chat = here.chat.provider.recorder
        await until(lambda: chat.accepted == 8 * TARGETS, "the other app's pushes arrive")
        await seen(lambda: here.parked()["news"] >= 8 * TARGETS, "the dead one's work is parked")
        assert here.parked()["chat"] == 0
        assert here.news.provider.recorder.accepted == 0
        here.news.set_rules([])
        await seen(lambda: here.receipts()["news", "accepted"] == 12 * TARGETS, "everything arrives in the end")
        await until(lambda: not here.hosted.control.held("news", APNS, URGENT), "the breaker closes and says so")
        assert here.receipts() == {("news", "accepted"): 12 * TARGETS, ("chat", "accepted"): 8 * TARGETS}
        assert here.news.provider.recorder.accepted == 12 * TARGETS, "none of it twice"


async def test_an_operators_pause_holds_everywhere_until_it_is_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        news = Subject(Kind.PAUSE, "news", APNS)
        await asyncio.to_thread(write, here.settings, news, Pause(1, "ann"))
        await until(lambda: here.hosted.control.paused("news", APNS, URGENT), "the sender hears of it")
        here.send("news", "n0", "n1")
        here.send("chat", "c0")
        await seen(lambda: here.receipts()["chat", "accepted"] == TARGETS, "the other app goes on")
        await seen(lambda: here.parked()["news"] >= 2 * TARGETS, "what is paused is parked")
        assert (await asyncio.to_thread(read_state, here.settings)).pauses == {news: Pause(1, "ann")}
        assert here.news.provider.recorder.accepted == 0
        await asyncio.to_thread(write, here.settings, news, None)
        await seen(lambda: here.receipts()["news", "accepted"] == 2 * TARGETS, "it is sent when it is resumed")
        assert here.news.provider.recorder.accepted == 2 * TARGETS
