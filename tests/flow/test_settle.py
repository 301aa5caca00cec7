"""Failed deliveries on a real Kafka: from SEND to a rung, through SETTLE back to SEND, to the dead letters and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from flow.kafka_tools import committed, produce, read_all, running, seen, until
from flow.settle_tools import PARTITIONS, SEND, ensure, message, values_of, waiting
from pushcast.config.settings import Settings
from pushcast.handover.exact import Inexact
from pushcast.http2.leave import MayLeave, always
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.clock import SystemClock
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.send.build import bounds as send_bounds
from pushcast.send.build import build as build_send
from pushcast.settle import build as settle
from pushcast.settle.agent import SettleStage
from pushcast.settle.letters import Filter, read_letter
from pushcast.settle.logs import raw_of
from pushcast.settle.manifest import Manifest
from pushcast.settle.reads import RUNGS
from pushcast.settle.redrive import DeadLetters
from pushcast.settle.redrive_report import Report
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.sending.batches import decode_batch, encode_batch
from twins.steady import Steady


def receipts_of(kafka: str, users: set[str]) -> list[dict[str, Any]]:
    records = read_all(kafka, topics.RECEIPT, PARTITIONS)
    return [decode_receipt(each.value() or b"") for each in records if (each.key() or b"").decode() in users]


class Moody(Steady):
    """A provider that answers the users in `fails` with 503 so many times first."""

    app = "news"
    platform = Platform.APNS
    engine = "moody"

    def __init__(self, fails: dict[str, int], users: set[str]) -> None:
        self.fails = fails
        self.users = users  # of this test; what others left in the topics is accepted and not noted
        self.accepted: list[str] = []
        self.attempts: dict[str, list[int]] = {}

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        on_results([self._answer(message.targets, index) for index in indices])

    def _answer(self, targets: Targets, index: int) -> Result:
        user = targets.user[index]
        if user not in self.users:
            return Result(index, Disposition.ACCEPTED, None, 200)
        self.attempts.setdefault(user, []).append(targets.attempt[index])
        if self.fails.get(user, 0) > 0:
            self.fails[user] -= 1
            wait = 3.0 if user.startswith("short") else None
            return Result(index, Disposition.RETRY, "provider_unavailable", 503, retry_after_seconds=wait)
        self.accepted.append(user)
        return Result(index, Disposition.ACCEPTED, None, 200)


async def test_a_failed_delivery_climbs_the_ladder_and_a_dead_one_is_redriven_once(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka)
    good, once, never, short = (unique(name) for name in ("good", "once", "never", "short"))
    users = {good, once, never, short}
    provider = Moody({once: 1, never: 3, short: 9}, users)
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS},
            "retry": {"rungs_seconds": [0.5, 0.5, 0.5, 3], "attempts": 3},
        }
    )
    failures: list[BaseException] = []
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
    options: dict[str, Any] = {"bootstrap_servers": kafka, "partitions": PARTITIONS, "data_dir": tmp_path}
    sender, settler = make_app(unique("send"), **options), make_app(unique("settle"), **options)
    stage = build_send(
        settings, platform=Platform.APNS, lane=Lane.URGENT, providers={"news": provider}, outbox=outbox, exact=Inexact()
    )
    add_batch_stage(sender, [SEND], stage, bounds=send_bounds(settings))
    add_batch_stage(settler, RUNGS, settle.build(settings, outbox, exact=Inexact()), bounds=settle.bounds(settings))
    batch = SendBatch("urgent", "apns", [message([good, once, never]), message([short], 2_500)])
    manifest = tmp_path / "redrive.json"

    def redrive(path: Path, execute: bool) -> Report:
        with DeadLetters(settings) as dead:
            wanted = Filter(topics=frozenset([SEND]), apps=frozenset(["news"]))
            return dead.redrive(wanted, Manifest(path), execute=execute, per_second=1000.0)

    async with running(sender, settler):
        produce(kafka, SEND, [(5, None, encode_batch(batch))])
        await seen(lambda: len(receipts_of(kafka, users)) >= 4, "every delivery has ended")
        ended = {r["user"]: (r["outcome"], r["reason"], r["run"]) for r in receipts_of(kafka, users)}
        assert ended == {
            good: ("accepted", None, 0),
            once: ("accepted", None, 0),
            never: ("dead", "provider_unavailable", 0),
            short: ("expired", "expired", 0),
        }
        # On a slow machine the short one may expire before its first attempt.
        assert provider.attempts.pop(short, [0]) == [0]
        assert provider.attempts == {good: [0], once: [0, 1], never: [0, 1, 2]}
        letters = [read_letter(raw_of(each)) for each in values_of(kafka, topics.dead_letter(SEND), users)]
        assert [(each.raw.partition, each.reason, each.attempts) for each in letters] == [
            (5, "provider_unavailable", 3)
        ]

        dry = await asyncio.to_thread(redrive, manifest, False)
        assert (dry.redriven, dry.deliveries, len(provider.accepted)) == (1, 1, 2)
        assert not manifest.exists()
        done = await asyncio.to_thread(redrive, manifest, True)
        assert (done.redriven, done.deliveries) == (1, 1)
        await seen(lambda: len(receipts_of(kafka, users)) >= 5, "the redriven delivery has ended")
        again = await asyncio.to_thread(redrive, manifest, True)
        assert (again.redriven, again.before) == (0, 1)
        forgetful = await asyncio.to_thread(redrive, tmp_path / "other.json", True)
        assert (forgetful.redriven, forgetful.left_out) == (0, {"accepted": 1})
    assert await outbox.close() == 0
    assert failures == []
    [last] = [r for r in receipts_of(kafka, users) if r["run"] == 1]
    assert (last["user"], last["outcome"], last["source_partition"]) == (never, "accepted", 5)
    assert sorted(provider.accepted) == sorted([good, once, never])


async def test_a_redrive_that_was_killed_before_it_could_note_its_letters_does_not_repeat_them(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka)
    user = unique("user")
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})
    wanted = Filter(topics=frozenset([SEND]), reasons=frozenset([unique("reason")]))
    producer = Producer({"bootstrap.servers": kafka})
    value = encode_batch(SendBatch("urgent", "apns", [message([user])]))
    headers: Any = [("push.errors.reason", next(iter(wanted.reasons)).encode())]
    producer.produce(topics.dead_letter(SEND), value, partition=6, headers=headers)
    assert producer.flush(10) == 0

    class Killed(Manifest):
        """Cannot be saved any more once a step has been noted."""

        def add(self, *_: object) -> None:
            raise KeyboardInterrupt

    def redrive(manifest: Manifest) -> Report:
        with DeadLetters(settings) as dead:
            return dead.redrive(wanted, manifest, execute=True, per_second=1000.0)

    path = tmp_path / "redrive.json"
    try:
        redrive(Killed(path))
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("it was to be killed")
    assert len(values_of(kafka, SEND, {user})) == 1
    report = redrive(Manifest(path))
    assert (report.redriven, report.before) == (0, 1)
    assert len(values_of(kafka, SEND, {user})) == 1


async def test_what_waits_when_a_settler_stops_is_passed_on_once_by_the_next(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    ensure(kafka)
    due, later = unique("due"), unique("later")
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=lambda error: None)
    group, rung = unique("settle"), topics.retry("5m")
    producer, now_ms = Producer({"bootstrap.servers": kafka}), SystemClock().now_ms()
    ends = (await asyncio.to_thread(read_all, kafka, rung, PARTITIONS)) or []
    before = sum(1 for record in ends if record.partition() == 2)
    for user, due_at in ((due, now_ms), (later, now_ms + 6_000)):
        value, headers = waiting(user, due_at, now_ms)
        producer.produce(rung, value, partition=2, headers=headers)  # type: ignore[arg-type]
    assert producer.flush(10) == 0

    def app_with(stage: SettleStage, name: str) -> Any:
        app = make_app(group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=tmp_path / name)
        add_batch_stage(app, [rung], stage, bounds=settle.bounds(settings))
        return app

    first, second = settle.build(settings, outbox, exact=Inexact()), settle.build(settings, outbox, exact=Inexact())
    async with running(app_with(first, "first")):
        await seen(lambda: bool(values_of(kafka, SEND, {due})), "what was due was passed on")
        await until(lambda: first.waiting() == 1, "the other one waits")
    found = await committed(kafka, group, rung, PARTITIONS)
    assert found[2][0] == before + 1, "what was passed on is done, what waits is not"
    async with running(app_with(second, "second")):
        await seen(lambda: bool(values_of(kafka, SEND, {later})), "the next owner passed it on")
    await outbox.close()
    assert [len(values_of(kafka, SEND, {user})) for user in (due, later)] == [1, 1]
    assert decode_batch(values_of(kafka, SEND, {later})[0].value() or b"").messages[0].targets.user == [later]
