"""SEND on a real Kafka, with the real transport, outbox and engine, against the APNs simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka import Message as KafkaMessage

from flow.kafka_tools import committed, create_topic, produce, read_all, running, until
from pushcast.config.settings import Settings
from pushcast.handover.exact import Inexact
from pushcast.http2.leave import MayLeave, always
from pushcast.kafka.headers import headers_of
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.clock import SystemClock
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content, Options
from pushcast.model.words import Lane, Platform
from pushcast.providers import registry
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.send.build import bounds, build
from pushcast.simulators import start
from pushcast.stream.batch import TP
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.wire import topics
from pushcast.wire.answers.ledger import parse
from pushcast.wire.answers.receipts import decode_receipt, decode_token_invalid
from pushcast.wire.sending.batches import decode_batch, encode_batch
from twins.steady import Steady

PARTITIONS = 4
HOUR_MS = 3_600_000


def _ensure(kafka: str, topic: str) -> None:
    """Receipts have one topic for everyone on the shared broker."""
    try:
        create_topic(kafka, topic, 8)
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            raise


def _message(user: str, tokens: list[str], app: str = "news", **options: Any) -> Message:
    targets, now_ms = Targets(), SystemClock().now_ms()
    for number, token in enumerate(tokens):
        device, address = f"d{number}", token.encode()
        delivery = delivery_id("n", user, app, device)
        row = (0, user, device, delivery, 0, address, "", token_hash(address), now_ms, number, now_ms + HOUR_MS, 0)
        for column, value in zip(targets.columns(), row, strict=True):
            column.append(value)
    content = Content("Goal!", user)
    return Message(app, "default", content, Options(**options), bytes(16), ["n"], [now_ms], [""], targets)


def _token(number: int, prefix: str = "") -> str:
    return prefix + f"{number:064x}"[len(prefix) :]


def _value(*messages: Message) -> bytes:
    return encode_batch(SendBatch("urgent", "apns", list(messages)))


def _of(records: list[KafkaMessage], users: set[bytes]) -> list[KafkaMessage]:
    return [record for record in records if record.key() in users]


async def _committed(kafka: str, group: str, topic: str, ends: dict[int, int]) -> None:
    for _ in range(600):
        found = await committed(kafka, group, topic, PARTITIONS)
        if all((found[partition][0] or 0) == end for partition, end in ends.items()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{topic} is not committed: {found}, {ends}")


async def test_batches_become_pushes_receipts_and_token_reports_and_bad_records_dead_letters(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("send"), PARTITIONS), unique("group")
    create_topic(kafka, topics.dead_letter(topic), PARTITIONS)
    _ensure(kafka, topics.RECEIPT)
    _ensure(kafka, topics.TOKEN_INVALID)
    one, two, gone = unique("one"), unique("two"), unique("gone")
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(start("apns", work_dir=tmp_path / "sim"))
        names = ("key_file", "key_id", "team_id", "topic", "environment")
        apns = {"endpoint": simulator.url, "ca_file": str(simulator.ca_file)}
        apns |= {name: simulator.credentials[name] for name in names}
        settings = Settings.model_validate(
            {"kafka": {"partitions": PARTITIONS}, "retry": {"attempts": 1}, "apps": {"news": {"apns": apns}}}
        )
        provider = registry.build("news", Platform.APNS, settings)
        await provider.start()
        failures: list[BaseException] = []
        outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
        stage = build(
            settings,
            platform=Platform.APNS,
            lane=Lane.URGENT,
            providers={"news": provider},
            outbox=outbox,
            exact=Inexact(),
        )
        app = make_app(group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=tmp_path, slot="0")
        add_batch_stage(app, [topic], stage, bounds=bounds(settings))
        produce(
            kafka,
            topic,
            [
                (1, None, _value(_message(one, [_token(n) for n in range(300)]), _message(gone, [_token(0)], app="x"))),
                (1, None, b"junk"),
                (2, None, _value(_message(two, [_token(7, "dead0410"), _token(8, "e0000503"), _token(9, "f1a00001")]))),
            ],
        )
        async with running(app):
            await _committed(kafka, group, topic, {1: 2, 2: 1})
        await provider.close()
        assert await outbox.close() == 0
        assert failures == []
        accepted = simulator.provider.recorder.accepted
    assert accepted == 300

    users = {one.encode(), two.encode(), gone.encode()}
    records = _of(read_all(kafka, topics.RECEIPT, 8), users)
    receipts = [decode_receipt(record.value() or b"") for record in records]
    assert len({r["delivery_id"] for r in receipts}) == len(receipts) == 304
    outcomes = {(r["user"], r["device"]): (r["outcome"], r["reason"], r["attempts"]) for r in receipts}
    assert {outcomes[one, f"d{n}"] for n in range(300)} == {("accepted", None, 1)}
    assert outcomes[gone, "d0"] == ("rejected", "not_configured", 0)
    assert outcomes[two, "d0"] == ("invalid", "device_unregistered", 1)
    assert outcomes[two, "d1"][0::2] == outcomes[two, "d2"][0::2] == ("dead", 1)
    for record, receipt in zip(records, receipts, strict=True):
        assert record.partition() == receipt["source_partition"] == (2 if receipt["user"] == two else 1)
        entry = parse(dict(headers_of(record))["push-ledger"] or b"")
        assert (entry.group, entry.send_offset) == ("pushcast-send-apns-urgent", 0)
        assert entry.delivery_id.hex() == receipt["delivery_id"]
    [report] = [decode_token_invalid(r.value() or b"") for r in _of(read_all(kafka, topics.TOKEN_INVALID, 8), users)]
    assert (report.user, report.device, report.platform) == (two, "d0", "apns")
    letter, exhausted = read_all(kafka, topics.dead_letter(topic), PARTITIONS)
    assert (letter.partition(), letter.value()) == (1, b"junk")
    assert exhausted.partition() == 2
    [part] = decode_batch(exhausted.value() or b"").messages
    assert part.targets.device == ["d1", "d2"]
    assert dict(letter.headers() or [])["push.errors.reason"] == b"unknown_frame"


class Gated(Steady):
    """A provider that answers a target only when the test lets it."""

    app = "news"
    platform = Platform.APNS
    engine = "gated"

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.sent: list[str] = []

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def send(self, message: Message, indices: Any, on_results: OnResults, may_leave: MayLeave = always) -> None:
        self.sent += [f"{message.targets.user[i]}/{message.targets.device[i]}" for i in indices]
        await self.open.wait()
        on_results([Result(i, Disposition.ACCEPTED) for i in indices])


async def test_a_stop_under_way_finishes_what_has_begun_so_that_the_next_owner_sends_nothing_twice(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("send"), PARTITIONS), unique("group")
    _ensure(kafka, topics.RECEIPT)
    users = [unique(f"u{n}") for n in range(6)]
    settings = Settings.model_validate({"kafka": {"partitions": PARTITIONS}, "send": {"max_in_flight": 150}})
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=lambda error: None)
    produce(kafka, topic, [(0, None, _value(_message(user, [_token(n) for n in range(100)]))) for user in users])

    def app_with(provider: Gated, name: str) -> Any:
        stage = build(
            settings,
            platform=Platform.APNS,
            lane=Lane.URGENT,
            providers={"news": provider},
            outbox=outbox,
            exact=Inexact(),
        )
        revoking = stage.revoking

        async def let_go(partitions: set[TP]) -> None:
            asyncio.get_running_loop().call_soon(provider.open.set)  # answers come once the stage is waiting for them
            await revoking(partitions)

        stage.revoking = let_go  # type: ignore[method-assign]
        app = make_app(group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=tmp_path / name)
        add_batch_stage(app, [topic], stage, bounds=bounds(settings))
        return app

    first, second = Gated(), Gated()
    async with running(app_with(first, "first")):
        await until(lambda: len(first.sent) >= 100, "the first record is under way")
    sent_by_first = list(first.sent)
    assert 100 <= len(sent_by_first) < 600
    second.open.set()
    async with running(app_with(second, "second")):
        await _committed(kafka, group, topic, {0: 6})
    await outbox.close()
    assert sorted(sent_by_first + second.sent) == sorted(f"{user}/d{n}" for user in users for n in range(100))
    records = _of(read_all(kafka, topics.RECEIPT, 8), {user.encode() for user in users})
    assert len(records) == 600
