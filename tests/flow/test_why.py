"""`pushcast why` on a real Kafka: what lies in the user's partition, and how far the groups have come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from msgspec.structs import replace

from flow.kafka_tools import ensure_topics
from flow.settle_tools import PARTITIONS
from flow.test_audit import Writer
from pushcast.audit.case import BOOKS, WAITING
from pushcast.audit.kept import deliveries_of
from pushcast.audit.kept_reading import kept_of, waits_of
from pushcast.audit.overview import overview
from pushcast.audit.why import deliveries_waiting, why
from pushcast.config.settings import Settings
from pushcast.kafka.positions import open_positions
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.model.words import Lane
from pushcast.register.history import KnownDevice
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import REASON, STREAMS
from pushcast.wire.answers.receipts import Planned, encode_planned
from pushcast.wire.headers import FENCE
from pushcast.wire.waiting.held import Held, held_headers
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, encode_held, held_broadcast_key
from pushcast.wire.waiting.timers import Timer, encode_timer

LANE = Lane.BULK
INTAKE = topics.notification(LANE)


def test_a_notification_is_followed_through_the_topics(kafka: str, unique: Callable[[str], str]) -> None:
    ensure_topics(kafka, (*BOOKS, *WAITING), PARTITIONS)
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})
    writer, note = Writer(kafka, unique("user")), unique("note")
    known, found = why(settings, writer.user, note)
    assert not known
    assert found["evidence"] == []
    assert found["kept_since"].keys() == set(BOOKS)
    event = json.dumps({"id": note, "title": "Goal!"}).encode()
    offset = writer.write(INTAKE, event, writer.user.encode())
    known, found = why(settings, writer.user, note)
    assert known
    assert found["answer"].startswith(f"not yet: its event waits in {INTAKE}")
    assert "pushcast-plan-bulk has no member" in found["answer"]
    planned = Planned(LANE)
    planned.add(offset, note, {}, 0, "no_devices")
    writer.write(topics.PLANNED, encode_planned(planned, 1))
    known, found = why(settings, writer.user, note)
    assert found["answer"] == "no: it was planned for no device: no_devices"
    assert [(row["topic"], row["partition"]) for row in found["evidence"]] == [
        (INTAKE, writer.partition),
        (topics.PLANNED, writer.partition),
    ]


def test_a_dead_letter_in_a_wrong_partition_is_found(kafka: str, unique: Callable[[str], str]) -> None:
    ensure_topics(kafka, (*BOOKS, *WAITING), PARTITIONS)
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})
    writer, note = Writer(kafka, unique("user")), unique("note")
    wrong = writer.partition = (writer.partition + 1) % PARTITIONS
    headers = [(REASON, b"unknown_field"), (STREAMS + "message", b"unknown field 'titel'")]
    dead = topics.dead_letter(INTAKE)
    writer.write(dead, json.dumps({"id": note, "titel": "x"}).encode(), writer.user.encode(), headers)
    known, found = why(settings, writer.user, note)
    assert known
    assert found["answer"] == "no: its event became a dead letter, unknown_field: unknown field 'titel'"
    assert [(row["topic"], row["partition"]) for row in found["evidence"]] == [(dead, wrong)]


def test_the_status_counts_records_and_not_fences_of_a_group_without_members(
    kafka: str, unique: Callable[[str], str]
) -> None:
    topic, group = unique("topic"), unique("group")
    dead = topics.dead_letter(topic)
    ensure_topics(kafka, (topic, dead), PARTITIONS)
    writer = Writer(kafka, unique("user"))
    now_ms = time.time_ns() // 1_000_000
    for _ in range(3):
        writer.write(topic, b"{}")
    writer.write(dead, b"{}")
    writer.write(dead, None, headers=[(FENCE, b"")])
    writer.write(topic, None, headers=[(FENCE, b"")])
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})
    found = overview(settings, {group: {topic}}, [dead], now_ms)
    [row] = found.groups
    assert (row.members.alive, row.lag) == (0, {topic: 3})
    assert row.oldest_ms is not None
    assert row.oldest_ms >= now_ms
    assert found.dead_letters == {dead: 1}


def test_positions_of_what_is_not_there_are_left_out(kafka: str, unique: Callable[[str], str]) -> None:
    positions = open_positions({"bootstrap.servers": kafka})
    nowhere, group = (unique("topic"), 0), unique("group")
    assert positions.ends([nowhere]) == {}
    assert positions.committed(group, [nowhere]) == {}
    assert positions.members([group])[group].alive == 0


def test_what_the_keeper_holds_is_found_before_and_after_it_was_read(kafka: str, unique: Callable[[str], str]) -> None:
    keeps = [topics.keep(lane) for lane in Lane]
    ensure_topics(kafka, (*BOOKS, *WAITING, topics.USER, *keeps), PARTITIONS)
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS}})
    writer, name, due = Writer(kafka, unique("user")), unique("b"), 1_900_000_000_000
    phone = KnownDevice(writer.user, "news", "phone")
    delivery = broadcast_delivery_id(name, device_row_key(*phone))
    value = encode_held(HeldBroadcast(name, writer.user, 7, b"c" * 16, "", delivery, b"h" * 16))
    headers = held_headers([], 7, Held(name, due, due - 9, broadcast="7:"), None)
    offset = writer.write(topics.keep(LANE), value, writer.user.encode(), headers)
    [wait] = waits_of(settings, [phone])
    assert (wait.id, wait.because, wait.due_at) == (name, "quiet_hours", due)
    assert list(deliveries_of(kept_of(settings, writer.user), name)) == [delivery.hex()]
    assert deliveries_waiting(settings, writer.user, name) == {}
    row = Timer(LANE, offset, due + 1, due - 9, event=value)
    key = held_broadcast_key(writer.user, name, LANE, "7:", 0)
    writer.write(topics.USER, encode_timer(row), key)
    [wait] = waits_of(settings, [phone])
    assert wait.due_at == due + 1
    writer.write(topics.USER, encode_timer(replace(row, closed_at=due, event=b"")), key)
    assert waits_of(settings, [phone]) == []
