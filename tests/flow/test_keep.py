"""What waits, on a real Kafka: from the event through the keeper, which is killed, to the send batch."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Message

from flow.kafka_tools import create_topic, ensure_topics, produce, read_all, running, seen
from flow.processes import worker
from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences, author_of
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.headers import headers_of
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane, Platform, Source
from pushcast.runtime.hosted import host
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_planned, decode_receipt
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.sending.batches import decode_batch

PARTITIONS = 2
NORMAL = Lane.NORMAL
SESSION_SECONDS = 6


USUAL: Mapping[str, str] = {}
#: Segments that roll after a second and are compacted when their records are ten seconds old.
COMPACTED = {
    "segment_ms": "1000",
    "min_cleanable_dirty_ratio": "0.01",
    "min_compaction_lag_ms": "10000",
    "max_compaction_lag_ms": "10000",
}


class World(NamedTuple):
    kafka: str
    options: dict[str, Any]

    def write(self, topic: str, *events: tuple[str, dict[str, Any]]) -> None:
        """Events with their users."""
        records = [
            (partition_of(user.encode(), PARTITIONS), user.encode(), json.dumps(event).encode())
            for user, event in events
        ]
        produce(self.kafka, topic, records)

    def register(self, *users: str) -> None:
        """A device each."""
        rows = []
        for user in users:
            address = user.encode()
            row = DeviceRow("news", "d", "fcm", "token", address, "", token_hash(address), "active", 1, 1)
            key = device_row_key(user, "news", "d")
            rows.append((partition_of(user.encode(), PARTITIONS), key, encode_row(row)))
        produce(self.kafka, topics.DEVICE, rows)

    def valid(self, topic: str) -> list[Message]:
        """Records that count."""
        fences: dict[int, Fences] = {}
        found = []
        for message in read_all(self.kafka, topic, PARTITIONS):
            author = author_of(headers_of(message))
            if fences.setdefault(message.partition() or 0, Fences()).admit(author, message.offset() or 0):
                found.append(message)
        return found

    def timers(self, user: str) -> int:
        """How many notifications of a user the keeper has, or had."""
        prefix = f"{user}\0t\0".encode()
        return len({key for message in self.valid(topics.USER) if (key := message.key() or b"").startswith(prefix)})

    def is_compacted(self) -> bool:
        """Whether records of the keeper's table are gone from the log."""
        offsets = [
            (message.partition(), message.offset() or 0) for message in read_all(self.kafka, topics.USER, PARTITIONS)
        ]
        return any(
            max(at for p, at in offsets if p == number) >= sum(p == number for p, _ in offsets)
            for number in range(PARTITIONS)
        )

    def targets(self) -> Counter[str]:
        """Deliveries in the send topic by user; all must come from a due record."""
        found: Counter[str] = Counter()
        for message in self.valid(topics.send(Platform.FCM, NORMAL)):
            batch = decode_batch(message.value() or b"")
            assert batch.source == Source.DUE
            for part in batch.messages:
                found.update(part.targets.user)
        return found

    def receipts(self) -> list[dict[str, Any]]:
        return [decode_receipt(message.value() or b"") for message in self.valid(topics.RECEIPT)]

    def planned(self, source: Source) -> list[tuple[str, int, str]]:
        """(notification id, held, reason) of each account of a source."""
        found = []
        for message in self.valid(topics.PLANNED):
            planned = decode_planned(message.value() or b"")
            if planned.source == source:
                rows = zip(planned.notification_id, planned.facts, planned.reason, strict=True)
                found += [(note_id, facts.held, reason) for note_id, facts, reason in rows]
        return found


@asynccontextmanager
async def world(tmp_path: Path, table: Mapping[str, str] = USUAL, **sections: Any) -> AsyncIterator[World]:
    """A planner of the normal lane on a cluster of its own; the keeper is the test's. `table`: settings of the keeper's
    topic. `sections`: of the configuration, beside those of every test."""
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(temporary_cluster())
        kafka = cluster.bootstrap_servers
        names = [
            *(topic(lane) for lane in Lane for topic in (topics.keep, topics.due)),
            *(topics.send(platform, NORMAL) for platform in Platform),
            *(topics.notification(NORMAL), topics.CANCEL, topics.ENGAGEMENT, topics.RECEIPT, topics.PLANNED),
        ]
        await asyncio.to_thread(ensure_topics, kafka, names, PARTITIONS)
        create_topic(kafka, topics.DEVICE, PARTITIONS, cleanup_policy="compact")
        create_topic(kafka, topics.USER, PARTITIONS, cleanup_policy="compact", **table)
        options = {
            "kafka": {
                "bootstrap_servers": kafka,
                "partitions": PARTITIONS,
                "commit_interval_seconds": 0.2,
                "session_timeout_seconds": SESSION_SECONDS,
            },
            "data_dir": str(tmp_path / "data"),
            "classes": {"default": {"window_seconds": 0}},
            "plan": {"lookup_again_seconds": 0},
            "apps": {"news": {}},
            **sections,
        }
        failures: list[object] = []
        outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append)
        stack.push_async_callback(outbox.close)
        hosted = host(Settings.model_validate(options), ["planner"], [NORMAL], [Platform.FCM], None, outbox)
        async with running(*hosted.apps):
            yield World(kafka, options)
        assert failures == []


async def test_what_is_due_later_waits_over_a_killed_keeper_and_comes_once(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        users = [f"user-{number}" for number in range(200)]
        here.register(*users)
        due_at = round(time.time() * 1000) + 12_000
        event = {"id": "n", "title": "t", "deliver_at": due_at}
        here.write(topics.notification(NORMAL), *((user, event) for user in users))
        await seen(lambda: len(here.planned(Source.NOTIFICATION)) == 200, "all are held")
        assert set(here.planned(Source.NOTIFICATION)) == {("n", 1, "scheduled")}
        async with worker("keep_worker", **here.options) as first:
            await first.ready()
            await seen(lambda: len(here.valid(topics.USER)) >= 200, "the keeper has them")
            assert here.targets() == Counter(), "nothing is due"
            await first.kill()
        async with worker("keep_worker", **here.options) as second:
            await second.ready()
            await seen(lambda: len(here.valid(topics.due(NORMAL))) >= 50, "some are let go")
            await second.kill()
        assert time.time() * 1000 >= due_at
        async with worker("keep_worker", **here.options) as third:
            await third.ready()
            await seen(lambda: sum(here.targets().values()) >= 200, "all come")
            assert await third.stop() == 0
        assert here.targets() == Counter(users), "each once"
        assert len(here.planned(Source.DUE)) == 200, "each timer closes by an account of its own"


async def test_c1_what_is_called_off_while_it_waits_ends_as_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.register("ann", "bob")
        event = {"id": "n", "title": "t", "deliver_at": round(time.time() * 1000) + 3_600_000}
        here.write(topics.notification(NORMAL), ("ann", event), ("bob", event))
        async with worker("keep_worker", **here.options) as keeper:
            await keeper.ready()
            await seen(lambda: len(here.valid(topics.USER)) >= 2, "both wait")
            here.write(topics.CANCEL, ("ann", {"ids": ["n"]}))
            await seen(lambda: len(here.receipts()) == 1, "it ends at once")
        [receipt] = here.receipts()
        assert (receipt["user"], receipt["outcome"], receipt["reason"], receipt["attempts"], receipt["source"]) == (
            "ann",
            "cancelled",
            "cancelled",
            0,
            Source.DUE,
        )
        assert here.targets() == Counter()


async def test_d3_k2_a_digest_and_a_cap_are_exact_over_a_killed_keeper(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "classes": {
            "default": {"window_seconds": 0},
            "likes": {"window_seconds": 0, "digest": {"window_seconds": 3_600, "body": "{count} likes"}},
            "promo": {"window_seconds": 0},
        },
        "caps": [{"name": "promo-day", "classes": ["promo"], "limit": 2, "window_seconds": 86_400}],
    }
    async with world(tmp_path, **sections) as here:
        here.register("ann", "bob")
        likes = [("ann", {"id": f"like-{n}", "app": "news", "class": "likes", "title": f"t{n}"}) for n in range(4)]
        offers = [("bob", {"id": f"offer-{n}", "app": "news", "class": "promo", "title": "t"}) for n in range(5)]
        here.write(topics.notification(NORMAL), *likes[:2], *offers[:3])
        await seen(lambda: len(here.planned(Source.NOTIFICATION)) == 5, "all are held")
        assert Counter(reason for _, _, reason in here.planned(Source.NOTIFICATION)) == {
            "digest": 2,
            "frequency_cap": 3,
        }
        async with worker("keep_worker", **here.options) as first:
            await first.ready()
            await seen(lambda: len(here.valid(topics.due(NORMAL))) >= 1, "a slot is taken")
            await first.kill()
        here.write(topics.notification(NORMAL), *likes[2:], *offers[3:])
        async with worker("keep_worker", **here.options) as second:
            await second.ready()
            await seen(lambda: here.timers("ann") == len(likes), "all are gathered")
            here.write(topics.ENGAGEMENT, ("ann", {"event": "flush", "app": "news"}))
            await seen(lambda: len(here.receipts()) >= 7, "members end, and so does what is too much")
            await seen(lambda: sum(here.targets().values()) >= 3, "the digest leaves")
            assert await second.stop() == 0
        assert here.targets() == Counter(ann=1, bob=2)
        ends = Counter((receipt["user"], receipt["reason"]) for receipt in here.receipts())
        assert ends == {("ann", "digested"): 4, ("bob", "frequency_cap"): 3}
        [digest] = {note_id for note_id, _, _ in here.planned(Source.DUE) if note_id.startswith("digest:")}
        assert {receipt["provider_id"] for receipt in here.receipts() if receipt["user"] == "ann"} == {digest}


async def test_s18_a_keeper_that_wakes_up_after_its_successor_lets_nothing_go_twice_and_compaction_takes_no_timer(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, COMPACTED) as here:
        users = [f"user-{number}" for number in range(300)]
        later = [f"later-{number}" for number in range(30)]
        here.register(*users, *later)
        due_at = round(time.time() * 1000) + 15_000
        event = {"id": "n", "title": "t", "deliver_at": due_at}
        tomorrow = event | {"deliver_at": due_at + 86_400_000}
        here.write(topics.notification(NORMAL), *((user, event) for user in users))
        here.write(topics.notification(NORMAL), *((user, tomorrow) for user in later))
        async with worker("keep_worker", **here.options) as sleeper:
            await sleeper.ready()
            await seen(lambda: len(here.valid(topics.USER)) >= len(users) + len(later), "all wait")
            await seen(lambda: len(here.valid(topics.due(NORMAL))) >= 1, "it lets them go")
            sleeper.process.send_signal(signal.SIGSTOP)
            own = here.options | {"data_dir": str(tmp_path / "heir"), "slot": "1"}
            async with worker("keep_worker", **own) as heir:
                await heir.ready()
                await seen(lambda: sum(here.targets().values()) >= len(users), "the heir lets the others go")
                sleeper.process.send_signal(signal.SIGCONT)
                await seen(here.is_compacted, "the broker compacts the table")
                here.write(topics.CANCEL, *((user, {"ids": ["n"]}) for user in later))
                await seen(lambda: len(here.receipts()) >= len(later), "what waits for tomorrow is there")
                assert await heir.stop() == 0
        assert here.targets() == Counter(users), "each once"
        assert Counter(receipt["user"] for receipt in here.receipts()) == Counter(later)
        assert {receipt["outcome"] for receipt in here.receipts()} == {"cancelled"}
