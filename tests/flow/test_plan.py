"""PLAN as a process on a real Kafka: stops and kills in the middle of work, late registrations, bad input."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Message

from flow.kafka_tools import produce, read_all
from pushcast.bench.base import Options
from pushcast.bench.cluster import PARTITIONS, BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.kafka.headers import headers_of
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_planned, decode_receipt
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.headers import FENCE, first
from pushcast.wire.sending.batches import decode_batch

LANE = Lane.BULK
TOPIC = topics.notification(LANE)
GROUP = f"pushcast-plan-{LANE}"
USERS = 400
CONFIGURATION = {
    "apps": {"news": {}},
    "classes": {"default": {"window_seconds": 0.05}, "slow": {"window_seconds": 3600}},
}
DEADLINE_SECONDS = 60.0


@pytest.fixture
def cluster(kafka: str) -> Iterator[BenchCluster]:
    with bench_cluster(Options(bootstrap_servers=kafka), CONFIGURATION) as made:
        yield made


class Story:
    """Users, devices and notifications of one test; others' records on the shared broker are left out."""

    def __init__(self, cluster: BenchCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.users = [f"{name}-{number}" for number in range(USERS)]

    def register(self, *users: str) -> None:
        rows = []
        for user in users:
            raw = user.encode()
            row = DeviceRow("news", "d", "fcm", "token", raw, "", token_hash(raw), "active", 1, 1)
            rows.append((home(user), device_row_key(user, "news", "d"), encode_row(row)))
        produce(self.cluster.settings.kafka.bootstrap_servers, topics.DEVICE, rows)

    def notify(self, note_id: str, *users: str, **fields: Any) -> None:
        value = json.dumps({"id": f"{self.name}/{note_id}", "title": "Goal!", **fields}).encode()
        self.put(*[(home(user), user.encode(), value) for user in users])

    def put(self, *records: tuple[int, bytes | None, bytes | None]) -> None:
        produce(self.cluster.settings.kafka.bootstrap_servers, TOPIC, records)

    def planner(self) -> Any:
        return role(self.cluster, "planner", "--lane", LANE, "--slot", self.name)

    def wait(self, process: ProcessUnderTest, true: Callable[[], bool], what: str) -> None:
        process.until(true, what, DEADLINE_SECONDS)

    def all_committed(self) -> bool:
        return self.cluster.committed(GROUP, TOPIC) == self.cluster.ends(TOPIC)

    def read(self, topic: str) -> list[Message]:
        found = read_all(self.cluster.settings.kafka.bootstrap_servers, topic, PARTITIONS)
        return [
            message for message in found if first(headers_of(message), FENCE) is None and message.value() is not None
        ]

    def targets(self) -> Counter[tuple[str, str]]:
        """(notification id, user) of every delivery in the send topic."""
        found: Counter[tuple[str, str]] = Counter()
        for message in self.read(f"push.send.fcm.{LANE}.v1"):
            for part in decode_batch(message.value() or b"").messages:
                for index, user in zip(part.targets.notification, part.targets.user, strict=True):
                    found[part.notification_ids[index].removeprefix(f"{self.name}/"), user] += 1
        return Counter({key: count for key, count in found.items() if key[1].startswith(self.name)})

    def planned(self) -> list[tuple[str, int, str]]:
        """(notification id, planned, reason)."""
        rows = [row for message in self.read(topics.PLANNED) for row in decode_planned(message.value() or b"").rows()]
        return [
            (note.removeprefix(f"{self.name}/"), total, reason)
            for _, note, total, reason in rows
            if note.startswith(f"{self.name}/")
        ]


def home(user: str) -> int:
    return partition_of(user.encode(), PARTITIONS)


@pytest.fixture
def story(cluster: BenchCluster, unique: Callable[[str], str]) -> Story:
    return Story(cluster, unique("plan"))


def test_an_orderly_stop_loses_and_doubles_nothing_and_a_kill_loses_nothing(story: Story) -> None:
    story.register(*story.users)
    with story.planner() as process:
        story.notify("before", *story.users)
        # A window of an hour is open when the process is told to stop: it is flushed and committed.
        story.notify("slow", *story.users, **{"class": "slow"})
        story.wait(process, lambda: len(story.targets()) >= USERS, "the quick class is out")
    assert story.all_committed()
    assert story.targets() == Counter({(note, user): 1 for note in ("before", "slow") for user in story.users})
    assert sorted(story.planned()) == sorted([("before", 1, ""), ("slow", 1, "")] * USERS)
    with story.planner() as process:
        for wave in range(3):
            story.notify(f"wave-{wave}", *story.users)
        os.kill(process.pid, signal.SIGKILL)
    story.notify("after", *story.users)
    with story.planner() as process:
        story.wait(process, story.all_committed, "everything is committed")
    wanted = {(note, user) for note in ("wave-0", "wave-1", "wave-2", "after") for user in story.users}
    assert wanted <= story.targets().keys()
    assert Counter(note for note, total, _ in story.planned() if total)["after"] == USERS


def test_a_registration_a_moment_after_the_event_and_bad_records_beside_it(story: Story) -> None:
    ann, bob, cee = story.users[:3]
    away = (home(cee) + 1) % PARTITIONS
    with story.planner() as process:
        story.register(cee)
        story.notify("welcome", ann, bob)
        marker = story.name.encode()
        story.put((home(ann), marker, b"{" + marker), (0, None, marker), (1, b"\xff", marker))
        story.put((away, cee.encode(), json.dumps({"id": f"{story.name}/foreign", "title": "t"}).encode()))
        story.register(ann)
        story.wait(process, story.all_committed, "everything is committed")
    assert story.targets() == Counter({("welcome", ann): 1, ("foreign", cee): 1})
    assert sorted(story.planned()) == [("foreign", 1, ""), ("welcome", 1, ""), ("welcome", 1, "no_devices")]
    receipts = [decode_receipt(message.value() or b"") for message in story.read(topics.RECEIPT)]
    assert [(each["user"], each["reason"]) for each in receipts if each["user"] in story.users] == [(bob, "no_devices")]
    dead = [m for m in story.read(topics.dead_letter(TOPIC)) if story.name.encode() in (m.value() or b"")]
    reasons = Counter((first(headers_of(message), "push.errors.reason") or b"").decode() for message in dead)
    assert reasons == {"not_json": 1, "key_missing": 1, "key_not_utf8": 1}
