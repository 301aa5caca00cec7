"""Cancels on a real broker: what a process knows when it starts, what it hears, and what a sender does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from flow.kafka_tools import create_topic, ensure_topics, produce, read_all, running, until
from flow.test_send import _message, _token, _value
from pushcast.config.settings import Settings
from pushcast.handover.exact import Inexact
from pushcast.kafka.cancels import CancelsUnreadable, CancelTail
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.clock import SystemClock
from pushcast.model.words import Lane, Platform
from pushcast.providers import registry
from pushcast.send.build import bounds, build
from pushcast.simulators import start
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.control.cancel_state import CancelState

PARTITIONS = 4
CANCEL = b'{"ids": ["n"]}'


def tail_of(kafka: str, topic: str) -> tuple[CancelTail, list[BaseException]]:
    failures: list[BaseException] = []
    tail = CancelTail(
        kafka, None, CancelState(), clock=SystemClock(), fatal=lambda _, error: failures.append(error), topic=topic
    )
    return tail, failures


def cancelled(state: CancelState, partition: int, user: str) -> bool:
    now_ms = SystemClock().now_ms()
    return state.cancelled(partition, user, "n", app=None, thread=None, created_at_ms=now_ms, now_ms=now_ms)


async def test_a_partition_is_known_whole_when_it_is_taken_over_and_followed_from_then_on(
    kafka: str, unique: Callable[[str], str]
) -> None:
    topic = create_topic(kafka, unique("cancel"), PARTITIONS, message_timestamp_type="LogAppendTime")
    produce(kafka, topic, [(0, b"a", CANCEL), (0, b"b", b"junk"), (1, b"c", CANCEL), (2, b"d", CANCEL)])
    tail, failures = tail_of(kafka, topic)
    state, heard = tail.state, list[tuple[int | None, frozenset[str]]]()
    state.subscribe(lambda partition, users: heard.append((partition, users)))
    await tail.follow([0, 1])
    assert [cancelled(state, 0, "a"), cancelled(state, 1, "c"), cancelled(state, 2, "d")] == [True, True, False]
    assert state.ignored == {"unknown_frame": 1}
    await tail.follow([2, 3])
    assert cancelled(state, 2, "d")
    await until(lambda: state.current_at > 0, "it is known to be current")
    produce(kafka, topic, [(3, b"e", CANCEL), (1, b"f", CANCEL)])
    await until(lambda: cancelled(state, 3, "e") and cancelled(state, 1, "f"), "both are heard")
    assert {3, 1} <= {partition for partition, _ in heard}
    await tail.follow([0, 1, 2, 3])
    assert cancelled(state, 0, "a"), "a second stage of the process takes nothing away"
    await tail.close()
    assert failures == []


async def test_a_topic_that_is_not_there_stops_the_take_over_and_says_what_to_do(
    kafka: str, unique: Callable[[str], str]
) -> None:
    tail, _ = tail_of(kafka, unique("cancel"))
    with pytest.raises(CancelsUnreadable, match="pushcast topology apply"):
        await tail.follow([0])
    await tail.close()


async def test_c1_what_is_cancelled_never_reaches_the_provider_and_has_one_receipt(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("send"), PARTITIONS), unique("group")
    cancels = create_topic(kafka, unique("cancel"), PARTITIONS, message_timestamp_type="LogAppendTime")
    create_topic(kafka, topics.dead_letter(topic), PARTITIONS)
    ensure_topics(kafka, [topics.RECEIPT, topics.TOKEN_INVALID], 8)
    kept, gone, later = unique("kept"), unique("gone"), unique("later")
    produce(kafka, cancels, [(1, gone.encode(), CANCEL)])
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(start("apns", work_dir=tmp_path / "sim"))
        names = ("key_file", "key_id", "team_id", "topic", "environment")
        apns = {"endpoint": simulator.url, "ca_file": str(simulator.ca_file)}
        apns |= {name: simulator.credentials[name] for name in names}
        settings = Settings.model_validate({"kafka": {"partitions": PARTITIONS}, "apps": {"news": {"apns": apns}}})
        provider = registry.build("news", Platform.APNS, settings)
        await provider.start()
        outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=lambda error: None)
        tail, failures = tail_of(kafka, cancels)
        stage = build(
            settings,
            platform=Platform.APNS,
            lane=Lane.URGENT,
            providers={"news": provider},
            outbox=outbox,
            cancels=tail,
            exact=Inexact(),
        )
        app = make_app(group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=tmp_path, slot="0")
        add_batch_stage(app, [topic], stage, bounds=bounds(settings))
        records = [_value(_message(user, [_token(n) for n in range(20)])) for user in (kept, gone)]
        produce(kafka, topic, [(1, None, value) for value in records])
        async with running(app):
            await until(lambda: simulator.provider.recorder.accepted == 20, "what was kept has left")
            produce(kafka, cancels, [(1, later.encode(), CANCEL)])
            await until(lambda: cancelled(tail.state, 1, later), "the cancel is heard")
            produce(kafka, topic, [(1, None, _value(_message(later, [_token(n) for n in range(20)])))])
            await until(
                lambda: stage.figures.outcomes["news", Platform.APNS, Lane.URGENT, "cancelled", "cancelled"] == 40,
                "ended",
            )
        await provider.close()
        await tail.close()
        assert await outbox.close() == 0
        assert (failures, simulator.provider.recorder.accepted) == ([], 20)
    users = {gone.encode(), later.encode()}
    receipts = [
        decode_receipt(each.value() or b"") for each in read_all(kafka, topics.RECEIPT, 8) if each.key() in users
    ]
    assert len({receipt["delivery_id"] for receipt in receipts}) == len(receipts) == 40
    assert {(receipt["outcome"], receipt["attempts"]) for receipt in receipts} == {("cancelled", 0)}
