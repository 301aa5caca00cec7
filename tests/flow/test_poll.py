"""Expo's receipts on a real Kafka: tickets wait, also over a restart, and a dead device is found by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow.kafka_tools import committed, ensure_topics, produce, read_all, running, until
from pushcast.config.settings import Settings
from pushcast.handover.exact import Inexact
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.clock import ManualClock, SystemClock
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content, Options
from pushcast.model.words import Lane, Platform
from pushcast.poll import build as poll
from pushcast.poll.agent import PollStage
from pushcast.poll.figures import PollCounters
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.registry import build as build_provider
from pushcast.send.build import bounds as send_bounds
from pushcast.send.build import build as build_send
from pushcast.simulators import Simulator, start
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt, decode_token_invalid
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.tickets import TicketBatch, decode_tickets

PARTITIONS = 8
SEND = topics.send(Platform.EXPO, Lane.URGENT)
TICKETS = topics.ticket(Platform.EXPO)
HOUR_MS = 3_600_000


def ensure(kafka: str) -> None:
    """Topics that SEND and POLL read and write."""
    ensure_topics(kafka, (SEND, TICKETS, topics.RECEIPT, topics.TOKEN_INVALID), PARTITIONS)


def message(tokens: dict[str, bytes], registered_at: int) -> Message:
    """One push for each user."""
    targets, now_ms = Targets(), SystemClock().now_ms()
    for number, (user, token) in enumerate(tokens.items()):
        row = (
            0,
            user,
            "d",
            delivery_id("n", user, "news", "d"),
            0,
            token,
            "",
            token_hash(token),
            registered_at,
            number,
        )
        for column, value in zip(targets.columns(), (*row, now_ms + HOUR_MS, 0), strict=True):
            column.append(value)
    return Message("news", "default", Content("Goal!"), Options(), bytes(16), ["n"], [now_ms], [""], targets)


def settings_for(kafka: str, simulator: Simulator) -> Settings:
    expo = {
        "endpoint": simulator.url,
        "ca_file": str(simulator.ca_file),
        "access_token_file": simulator.credentials["access_token_file"],
    }
    return Settings.model_validate(
        {"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}, "apps": {"news": {"expo": expo}}}
    )


def waiting_of(kafka: str, users: set[str]) -> list[TicketBatch]:
    """Records of tickets of these users that were ever written."""
    found = [decode_tickets(record.value()) for record in read_all(kafka, TICKETS, PARTITIONS)]
    return [batch for batch in found if users & set(batch.user)]


async def test_a_device_that_expo_finds_dead_later_is_reported_although_the_poller_was_restarted(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka)
    good, dead, late, large = (unique(name) for name in ("good", "dead", "late", "large"))
    users = {good, dead, late, large}
    prefixes = {good: "", dead: "rcpt-unreg-", late: "late-", large: "rcpt-big-"}
    tokens = {user: f"ExponentPushToken[{prefix}{unique('t')}]".encode() for user, prefix in prefixes.items()}
    now_ms = SystemClock().now_ms()
    failures: list[BaseException] = []
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
    group = unique("poll")

    async with start("expo", work_dir=tmp_path / "expo") as simulator:
        settings = settings_for(kafka, simulator)
        await simulator.set_state({"receipt_delay_seconds": 100})  # of `late-` tokens ten times that
        provider = build_provider("news", Platform.EXPO, settings)
        assert isinstance(provider, ExpoProvider)
        await provider.start()
        options: dict[str, Any] = {"bootstrap_servers": kafka, "partitions": PARTITIONS}
        sender = make_app(unique("send"), data_dir=tmp_path, **options)
        stage = build_send(
            settings,
            platform=Platform.EXPO,
            lane=Lane.URGENT,
            providers={"news": provider},
            outbox=outbox,
            exact=Inexact(),
        )
        add_batch_stage(sender, [SEND], stage, bounds=send_bounds(settings))
        batch = SendBatch("urgent", "expo", [message(tokens, now_ms - 1000)])
        async with running(sender):
            produce(kafka, SEND, [(5, None, encode_batch(batch))])
            await until(lambda: stage.figures.outcomes.total() == len(users), "every push has its ticket")
        read = read_all(kafka, topics.RECEIPT, PARTITIONS)
        receipts = [decode_receipt(value) for record in read if (value := record.value())]  # others' fences have none
        assert {r["user"]: r["outcome"] for r in receipts if r["user"] in users} == dict.fromkeys(users, "accepted")
        [written] = waiting_of(kafka, users)
        assert set(written.user) == users

        figures = PollCounters()

        def poller(name: str, seconds_later: float) -> tuple[PollStage, Any]:
            """Of the same group, at a time of its own."""
            clock = ManualClock(now_ms + round(seconds_later * 1000))
            made = poll.build(
                settings, Platform.EXPO, {"news": provider}, outbox, clock=clock, figures=figures, fatal=fatal
            )
            app = make_app(group, data_dir=tmp_path / name, **options)
            add_batch_stage(app, [TICKETS], made, bounds=poll.bounds(settings))
            return made, app

        def fatal(_: str, error: BaseException) -> None:
            failures.append(error)

        stage_before, before = poller("before", 0)
        async with running(before):
            await until(lambda: stage_before.waiting() == 1, "the tickets wait")
        assert figures.asked == {}
        assert (await committed(kafka, group, TICKETS, PARTITIONS))[5][0] in (None, 0), "what waits is not done"

        simulator.clock.advance(960)
        stage_due, due = poller("due", 960)
        async with running(due):
            await until(lambda: figures.receipts.total() == 3, "the receipts are read")
            await until(lambda: stage_due.waiting() == 1, "the late one waits again")
        first, again = waiting_of(kafka, users)
        assert (first, again.user, again.asks) == (written, [late], 1)
        assert (await committed(kafka, group, TICKETS, PARTITIONS))[5][0] == 1

        simulator.clock.advance(900)
        stage_last, last = poller("last", 1860)
        async with running(last):
            await until(lambda: figures.receipts.total() == 4, "the late receipt is read")
            await until(lambda: stage_last.waiting() == 0, "nothing waits")
        assert (await committed(kafka, group, TICKETS, PARTITIONS))[5][0] == 2
        await provider.close()

    assert await outbox.close() == 0
    assert failures == []
    assert figures.receipts == {
        ("news", "expo", "accepted", ""): 2,
        ("news", "expo", "invalid", "device_unregistered"): 1,
        ("news", "expo", "rejected", "payload_too_large"): 1,
    }
    records = read_all(kafka, topics.TOKEN_INVALID, PARTITIONS)
    [record] = [each for each in records if (each.key() or b"").decode() in users]
    event = decode_token_invalid(record.value() or b"")
    assert (record.partition(), record.key(), event.user, event.reason) == (
        5,
        dead.encode(),
        dead,
        "device_unregistered",
    )
    assert (event.token_hash, event.device, event.app) == (token_hash(tokens[dead]), "d", "news")
    assert now_ms <= event.sent_at < event.at
