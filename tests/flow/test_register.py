"""REGISTER on a real Kafka: rows, forwards, dead letters, restarts and kills."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from flow.kafka_tools import committed, create_topic, ensure_topics, produce, read_all, running, until
from flow.processes import worker
from pushcast.audit.device_history import history_of
from pushcast.config.settings import Kafka, Settings
from pushcast.kafka.headers import headers_of
from pushcast.kafka.offsets import watermarks
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.clock import SystemClock
from pushcast.model.ids import is_user_row, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.register.agent import RegisterStage
from pushcast.register.build import build, subscriptions
from pushcast.register.names import STAGE, Topics
from pushcast.register.ports import Counters
from pushcast.stream.fatal import end_process
from pushcast.transport.app import add_devices_table, add_stage, make_app
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.devices import decode_row, encode_row, is_gone
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.headers import FORWARDED, first, origin
from pushcast.wire.topics import keep

TOKEN, OTHER_TOKEN = "ab12" * 16, "cd34" * 16
PARTITIONS = 4
INTAKE_BYTES = 1_048_576
USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
AWAY = (HOME + 1) % PARTITIONS


@dataclass
class Ground:
    """Topics of one test, what was counted, and an App on them."""

    kafka: str
    group: str
    data_dir: Path
    topics: Topics
    counters: Counters
    reader: Consumer  # asks for offsets of the group, never joins it
    control: ControlState = field(default_factory=ControlState)
    hold_seconds: float = 0.2

    def rows(self) -> dict[bytes, bytes]:
        """Devices that the topic holds once compacted."""
        last = {message.key() or b"": message.value() for message in read_all(self.kafka, self.topics.device)}
        return {key: value for key, value in last.items() if value is not None and _is_device(key, value)}

    def dead(self, topic: str) -> list[Message]:
        return read_all(self.kafka, f"{topic}.dlq")

    def behind(self) -> int:
        """Records of the source topics that are not committed."""
        return sum(self._behind(topic) for topic in (self.topics.changed, self.topics.invalid, self.topics.hold))

    def written(self) -> int:
        """Records in the devices topic."""
        return sum(watermarks(self.reader, part.topic, part.partition)[1] for part in parts(self.topics.device))

    def _behind(self, topic: str) -> int:
        committed = self.reader.committed(parts(topic), timeout=10)
        ends = [watermarks(self.reader, part.topic, part.partition)[1] for part in committed]
        return sum(end - max(0, part.offset) for end, part in zip(ends, committed, strict=True))

    def change(self, *events: tuple[int, bytes | None, bytes | None]) -> None:
        produce(self.kafka, self.topics.changed, events, **{"message.max.bytes": "2000000"})

    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "kafka": Kafka(bootstrap_servers=self.kafka, partitions=PARTITIONS),
                "apps": {"news": {}},
                "devices": {"hold_seconds": self.hold_seconds},
            }
        )

    @contextlib.asynccontextmanager
    async def registrar(self) -> AsyncIterator[RegisterStage]:
        """A registrar in this process; at the end of the block all events are handled."""
        settings = self.settings()
        outbox = KafkaOutbox(
            self.kafka,
            loop=asyncio.get_running_loop(),
            on_fatal=lambda error: end_process("outbox", error),
        )
        app = make_app(
            self.group, bootstrap_servers=self.kafka, partitions=PARTITIONS, data_dir=self.data_dir, slot="0"
        )
        table = add_devices_table(app, self.topics.device)
        table.guard(STAGE)
        stage = build(
            settings, table, outbox, SystemClock(), control=self.control, counters=self.counters, names=self.topics
        )
        add_stage(app, subscriptions(settings, self.topics), stage)
        async with running(app):
            yield stage
            await until(lambda: self.behind() == 0, "all events are handled")
        assert await outbox.close() == 0


def _is_device(key: bytes, value: bytes) -> bool:
    return is_row(key) and not is_user_row(key) and not is_gone(value)


def parts(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(PARTITIONS)]


def _leaders(reader: Consumer, topic: str) -> int:
    found = reader.list_topics(topic, timeout=10).topics[topic].partitions.values()
    return sum(part.leader >= 0 for part in found)


@pytest.fixture
def ground(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> Iterator[Ground]:
    names = ("changed", "invalid", "device", "hold", "claim", "evict", "engagement")
    topics = Topics(*map(unique, names))
    for topic in (topics.changed, topics.invalid, topics.hold, topics.claim, topics.evict, topics.engagement):
        create_topic(kafka, topic, PARTITIONS, max_message_bytes=str(INTAKE_BYTES))
        create_topic(kafka, f"{topic}.dlq", PARTITIONS, max_message_bytes=str(INTAKE_BYTES + 65_536))
    create_topic(kafka, topics.device, PARTITIONS, cleanup_policy="compact")
    ensure_topics(kafka, (keep(Lane.URGENT),), 8)  # with as many as other tests on the shared broker give it
    group = unique("register")
    reader = Consumer({"bootstrap.servers": kafka, "group.id": group, "enable.auto.commit": False})
    # The group's leader must know all topics when it assigns, as after `pushcast topology apply`.
    deadline = time.monotonic() + 30
    while any(_leaders(reader, topic) < PARTITIONS for topic in topics):
        assert time.monotonic() < deadline, "the broker does not know its topics"
    yield Ground(kafka, group, tmp_path, topics, Counters(), reader)
    reader.close()


def event(op: str, device: str, at: int, **more: Any) -> bytes:
    body: dict[str, Any] = {"op": op, "app": "news", "device": device, "at": at, **more}
    if op == "register":
        body |= {"platform": "apns", "token": more.get("token", TOKEN)}
    return orjson.dumps(body)


def now_ms() -> int:
    return int(time.time() * 1000)


def reasons(messages: list[Message]) -> list[str]:
    return [(first(headers_of(message), "push.errors.reason") or b"").decode() for message in messages]


async def test_rows_follow_the_events_and_the_table_that_is_tailed(ground: Ground) -> None:
    past = now_ms() - 10_000
    async with ground.registrar() as stage:
        ground.change(
            (HOME, USER, event("register", "d-1", past)),
            (HOME, USER, event("register", "d-2", past, token=OTHER_TOKEN.upper())),
            (HOME, USER, event("register", "d-3", past)),
        )
        await until(lambda: ground.counters["registrations", "written"] == 3, "three rows")
        await until(lambda: len(stage._in_flight) == 0, "the table has applied them")
        # From here on only the table knows the rows.
        verdict = TokenInvalid(
            "user-1",
            "news",
            "d-2",
            "apns",
            token_hash(OTHER_TOKEN.encode()),
            "device_unregistered",
            410,
            past + 1,
            past,
            past,
            "",
        )
        produce(ground.kafka, ground.topics.invalid, [(HOME, USER, encode_token_invalid(verdict))])
        ground.change(
            (HOME, USER, event("register", "d-1", past)),
            (HOME, USER, event("unregister", "d-3", past + 1)),
            (HOME, USER, event("unregister", "d-9", past + 1)),
        )
    assert set(ground.rows()) == {b"user-1\0news\0d-1"}
    assert ground.counters == {
        ("registrations", "written"): 3,
        ("registrations", "unchanged"): 1,
        ("unregistrations", "removed"): 1,
        ("unregistrations", "unknown"): 1,
        ("suspensions", "suspended"): 1,
        ("suspensions", "removed"): 1,
        ("removals", "device_unregistered"): 1,
        ("claims", ""): PARTITIONS,
    }


async def test_the_history_of_a_device_is_found_by_its_id_and_by_its_tokens_hash(ground: Ground) -> None:
    past = now_ms() - 10_000
    async with ground.registrar():
        ground.change((HOME, USER, event("register", "d-1", past)), (AWAY, b"user-0", event("register", "d-2", past)))
        await until(lambda: ground.counters["registrations", "written"] == 2, "two rows")
        verdict = TokenInvalid(
            "user-1",
            "news",
            "d-1",
            "apns",
            token_hash(TOKEN.encode()),
            "device_unregistered",
            410,
            past + 1,
            past,
            past,
            "",
        )
        produce(ground.kafka, ground.topics.invalid, [(HOME, USER, encode_token_invalid(verdict))])

    def why(subject: str, **options: Any) -> list[tuple[str, str]]:
        found = history_of(ground.settings(), subject, names=ground.topics, **options)
        assert set(found.kept_since.values()) == {None}
        return [(step.step, step.device.device) for step in found.steps]

    told = await asyncio.to_thread(why, "d-1")
    steps = [step for step, _ in told]
    # A row and the step that it is part of are written at once: either may be a millisecond earlier.
    rows = [step for step in steps if step.startswith("row_")]
    assert rows == ["row_active", "row_suspended", "row_removed"]
    assert [step for step in steps if step not in rows] == ["registered", "verdict", "suspended", "removed"]
    assert {device for _, device in told} == {"d-1"}
    by_hash = await asyncio.to_thread(why, token_hash(TOKEN.encode()).hex(), user="user-1")
    assert by_hash == told
    assert await asyncio.to_thread(why, "d-9") == []


async def test_a_new_registrar_knows_the_rows_of_the_one_before(ground: Ground) -> None:
    past = now_ms() - 10_000
    async with ground.registrar():
        ground.change((HOME, USER, event("register", "d-1", past)), (HOME, USER, event("register", "d-2", past)))
    async with ground.registrar():
        ground.change((HOME, USER, event("register", "d-1", past)), (HOME, USER, b'{"op":"forget_user"}'))
    assert ground.rows() == {}
    assert ground.counters["registrations", "unchanged"] == 1
    assert ground.counters["users_forgotten", "removed"] == 1
    found = await committed(ground.kafka, ground.group, ground.topics.changed)
    assert found[HOME][0] == 4


async def test_a_record_of_a_wrong_partitioner_arrives_in_its_own_partition(ground: Ground) -> None:
    async with ground.registrar():
        ground.change((AWAY, USER, event("register", "d-1", now_ms())))
        await until(lambda: ground.counters["registrations", "written"] == 1, "the row is written")
    assert set(ground.rows()) == {b"user-1\0news\0d-1"}
    [forwarded] = [each for each in read_all(ground.kafka, ground.topics.changed) if each.partition() == HOME]
    assert first(headers_of(forwarded), FORWARDED) is not None
    assert ground.dead(ground.topics.changed) == []


async def test_bad_records_are_dead_letters_as_they_came_and_good_ones_go_on(ground: Ground) -> None:
    # With one more header the largest record that the topic takes no longer fits: 61 bytes of batch, 11 of record.
    largest = b"{" + b" " * (INTAKE_BYTES - 61 - 11 - len(USER) - 8) + b"}"
    bad: list[tuple[int, bytes | None, bytes | None]] = [
        (HOME, None, b"{}"),
        (HOME, b"\xff\xfe", b"{}"),
        (HOME, USER, b"{nope"),
        (HOME, USER, None),
        (HOME, USER, b"\xc3\x01" + bytes(8)),
        (HOME, USER, largest),
        (AWAY, USER, largest),
    ]
    async with ground.registrar():
        ground.change(*bad, (HOME, USER, event("register", "d-1", now_ms())))
    dead = ground.dead(ground.topics.changed)
    expected = ["key_missing", "key_not_utf8", "not_json", "tombstone", "unknown_schema", "invalid_field", "too_large"]
    assert sorted(reasons(dead)) == sorted(expected)
    came = sorted((message.partition(), message.key() or b"", message.value() or b"") for message in dead)
    assert came == sorted((partition, key or b"", value or b"") for partition, key, value in bad)
    assert set(ground.rows()) == {b"user-1\0news\0d-1"}


@pytest.mark.slow
async def test_a_registrar_killed_at_work_loses_no_device(ground: Ground) -> None:
    """Its successor handles again what was not committed; the rows are those of the events."""
    past = now_ms() - 100_000
    expected: dict[bytes, int] = {}
    events: list[tuple[int, bytes | None, bytes | None]] = []
    for number in range(30_000):
        user, device, at = f"user-{number % 4000}", f"d-{number % 3}", past + number
        op = "unregister" if number % 11 == 0 else "register"
        events.append((partition_of(user.encode(), PARTITIONS), user.encode(), event(op, device, at)))
        key = f"{user}\0news\0{device}".encode()
        if op == "register":
            expected[key] = at
        else:
            expected.pop(key, None)
    ground.change(*events)
    options: dict[str, Any] = {
        "bootstrap_servers": ground.kafka,
        "group": ground.group,
        "partitions": PARTITIONS,
        "data_dir": str(ground.data_dir / "killed"),
        "topics": list(ground.topics),
    }
    for share in (0.2, 0.5):
        async with worker("register_worker", **options) as process:
            await process.ready()
            await until(lambda share=share: ground.written() > len(events) * share, "it is at work")  # type: ignore[misc]
            await process.kill()
    async with worker("register_worker", **options) as process:
        await process.ready()
        await until(lambda: ground.behind() == 0, "the last one has done the rest")
        assert await process.stop() == 0
    assert {key: decode_row(value).registered_at for key, value in ground.rows().items()} == expected


async def test_a_row_that_a_superseded_registrar_writes_late_is_overwritten(ground: Ground) -> None:
    key, past = b"user-1\0news\0d-1", now_ms() - 10_000
    async with ground.registrar():
        ground.change((HOME, USER, event("register", "d-1", past)))
        await until(lambda: ground.counters["registrations", "written"] == 1, "the row is written")
        known = ground.rows()
        late = msgspec.structs.replace(decode_row(known[key]), address=b"late", registered_at=past + 5)
        writer = Producer({"bootstrap.servers": ground.kafka})
        headers: dict[str, str | bytes | None] = dict(origin(STAGE, HOME, 1))
        writer.produce(ground.topics.device, encode_row(late), key, HOME, headers=headers)
        writer.produce(ground.topics.device, None, key, HOME, headers=headers)
        assert writer.flush(30) == 0
        await until(lambda: ground.counters["void_rows", "healed"] > 0, "the void rows are overwritten")
        await until(lambda: ground.rows() == known, "the log has healed")
        # Decided from what is known, not from what was written late.
        ground.change((HOME, USER, event("register", "d-1", past)))
    assert ground.counters["void_rows", "found"] == 2
    assert ground.counters["registrations", "unchanged"] == 1
    async with ground.registrar():
        ground.change((HOME, USER, event("register", "d-1", past)))
    assert ground.counters["registrations", "unchanged"] == 2
    assert ground.rows() == known


@pytest.mark.slow
async def test_a_registrar_that_wakes_up_after_its_partitions_went_to_another_changes_no_row(ground: Ground) -> None:
    """Stopped in the middle of its work, beyond its session timeout; whatever it still writes is void."""
    past = now_ms() - 100_000
    events: list[tuple[int, bytes | None, bytes | None]] = []
    for number in range(20_000):
        user = f"user-{number % 1000}"
        value = event("register", f"d-{number % 3}", past + number, token=f"{number:08x}")
        events.append((partition_of(user.encode(), PARTITIONS), user.encode(), value))
    ground.change(*events)
    expected = {f"user-{n % 1000}\0news\0d-{n % 3}".encode(): past + n for n in range(20_000)}
    options: dict[str, Any] = {
        "bootstrap_servers": ground.kafka,
        "group": ground.group,
        "partitions": PARTITIONS,
        "topics": list(ground.topics),
    }
    async with worker("register_worker", **options, slot="0", data_dir=str(ground.data_dir / "0")) as sleeper:
        await sleeper.ready()
        await until(lambda: ground.written() > 2_000, "it is at work")
        sleeper.process.send_signal(signal.SIGSTOP)
        async with worker("register_worker", **options, slot="1", data_dir=str(ground.data_dir / "1")) as heir:
            await heir.ready()
            await until(lambda: ground.behind() == 0, "the heir has done the rest")
            sleeper.process.send_signal(signal.SIGCONT)
            ground.change((HOME, USER, event("register", "d-1", past + 30_000)))
            expected[b"user-1\0news\0d-1"] = past + 30_000
            await until(lambda: ground.behind() == 0, "both have come to rest")
            found = {key: decode_row(value).registered_at for key, value in ground.rows().items()}
            assert found == expected
            assert await heir.stop() == 0
