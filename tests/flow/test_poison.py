"""Every record that once ended a process, on a real Kafka and on every topic that a stage reads.

The roles go on: what stands behind it in the same partition is handled, and each bad record is a dead letter that
names the field and the limit. What only travels oddly (codecs, header names, null values, no time) is handled.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson
import pytest

from flow.kafka_tools import read_all
from flow.one_process import one_process
from pushcast.bench.cluster import ProcessUnderTest
from pushcast.demo.world import World
from pushcast.model.ids import is_user_row, partition_of
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_planned
from pushcast.wire.devices.devices import is_gone
from pushcast.wire.headers import first
from twins import poison
from twins.poison import NOTE, REGISTER, Poison
from twins.raw_kafka import CODECS, GZIP, RawProducer, RawRecord

PARTITIONS = 2
HANDLED_SECONDS = 120.0
USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
LARGE = 3 << 20
SECONDS_NOT_MS = 1_800_000_000
#: Of each codec one record that is good, and of each oddity.
ODD_HEADERS: dict[str, list[tuple[bytes, bytes | None]]] = {
    "a null header": [(b"x", None)],
    "a name in Latin-1": [(b"x-gr\xf6sse", b"1")],
    "a name of 40 KB": [(b"n" * 40_000, b"1")],
    "an empty name": [(b"", b"1")],
    "500 headers": [(b"h%d" % number, b"v") for number in range(500)],
    "ours, null": [(b"push-origin", None), (b"push-epoch", None), (b"traceparent", None)],
}
#: Read by stages and written by Pushcast alone.
INTERNAL = [
    topics.TOKEN_INVALID,
    topics.TOKEN_HOLD,
    topics.send(Platform.APNS, Lane.NORMAL),
    topics.retry("10s"),
    topics.PARKED,
    topics.ticket(Platform.EXPO),
]


class Sent(NamedTuple):
    """A bad record where it lies."""

    poison: Poison
    topic: str
    partition: int
    offset: int


class Roles:
    """One process with every role, on a Kafka of its own."""

    def __init__(self, world: World, process: ProcessUnderTest, producer: RawProducer) -> None:
        self.world, self.process, self.producer = world, process, producer
        self.bad: list[Sent] = []
        self.good: list[str] = []
        self.devices: list[str] = []

    @property
    def kafka(self) -> str:
        return self.world.settings.kafka.bootstrap_servers

    def poison(self, topic: str, kinds: Sequence[Poison], key: bytes | None = USER) -> None:
        """A batch of them."""
        start = self.producer.produce(topic, HOME, [RawRecord(key, kind.value) for kind in kinds])
        self.bad += [Sent(kind, topic, HOME, start + at) for at, kind in enumerate(kinds)]

    def poison_one(self, topic: str, kind: Poison, compression: int = 0, **odd: Any) -> None:
        start = self.producer.produce(topic, HOME, [RawRecord(USER, kind.value, **odd)], compression)
        self.bad.append(Sent(kind, topic, HOME, start))

    def note(self, lane: Lane, compression: int = 0, **odd: Any) -> None:
        """A good notification."""
        self.good.append(f"good-{len(self.good)}")
        record = RawRecord(USER, orjson.dumps(NOTE | {"id": self.good[-1]}), **odd)
        self.producer.produce(topics.notification(lane), HOME, [record], compression)

    def device(self, compression: int = 0, **odd: Any) -> None:
        """A good registration."""
        self.devices.append(f"d{len(self.devices)}")
        event = REGISTER | {"device": self.devices[-1], "token": f"{len(self.devices):064x}"}
        record = RawRecord(USER, orjson.dumps(event), **odd)
        self.producer.produce(topics.DEVICE_CHANGED, HOME, [record], compression)

    def until(self, true: Callable[[], bool], what: str) -> None:
        self.process.until(true, what, HANDLED_SECONDS, poll_seconds=1.0)

    def planned(self) -> Counter[str]:
        """How often each notification was planned."""
        values = [record.value() for record in read_all(self.kafka, topics.PLANNED, PARTITIONS)]
        return Counter(note for value in values if value for _, note, *_ in decode_planned(value).rows())

    def rows(self) -> set[str]:
        """Devices of the user."""
        records = read_all(self.kafka, topics.DEVICE, PARTITIONS)
        mine = [record for record in records if (record.key() or b"").startswith(USER + b"\0")]
        keys = [
            key for record in mine if not is_user_row(key := record.key() or b"") and not is_gone(record.value() or b"")
        ]
        return {key.split(b"\0")[2].decode() for key in keys}

    def letters(self, topic: str) -> dict[tuple[int, int], list[Any]]:
        """Headers of the dead letters by partition and offset of their record."""
        found: dict[tuple[int, int], list[Any]] = {}
        for record in read_all(self.kafka, topics.dead_letter(topic), PARTITIONS):
            headers: Any = record.headers()
            places = [first(headers, f"__streams.errors.{name}") or b"" for name in ("partition", "offset")]
            found.setdefault((int(places[0]), int(places[1])), []).append(headers)
        return found


@pytest.fixture
def roles() -> Iterator[Roles]:
    overrides = {
        "kafka": {"partitions": PARTITIONS},
        "flood": {"enabled": False},
        "tickets": {"ask_after_seconds": 1},  # they are read when it is time to ask
    }
    with (
        one_process(platforms=("apns", "expo"), overrides=overrides) as (world, process),
        RawProducer(world.settings.kafka.bootstrap_servers) as producer,
    ):
        yield Roles(world, process, producer)


def untold(roles: Roles) -> list[str]:
    """Bad records without a dead letter, with more than one, or with one that names no field or no limit."""
    found = []
    letters = {topic: roles.letters(topic) for topic in {sent.topic for sent in roles.bad}}
    for kind, topic, partition, offset in roles.bad:
        mine = letters[topic].get((partition, offset), [])
        if len(mine) != 1:
            found.append(f"{topic}: {kind.name}: {len(mine)} letters")
            continue
        [headers] = mine
        field = (first(headers, "push.errors.field") or b"").decode()
        message = (first(headers, "__streams.errors.message") or b"").decode()
        if first(headers, "push.errors.reason") is None or (kind.field or field) != field or kind.limit not in message:
            found.append(f"{topic}: {kind.name}: field {field!r}, message {message!r}")
    return found


@pytest.mark.timeout(500)
def test_no_record_stops_a_stage_and_each_bad_one_is_a_dead_letter_with_field_and_limit(roles: Roles) -> None:
    lanes = [topics.notification(lane) for lane in Lane]
    for topic in lanes:
        roles.poison(topic, [*poison.notes(), *poison.anywhere()])
    roles.poison(topics.DEVICE_CHANGED, [*poison.changes(), *poison.anywhere()])
    for topic in INTERNAL:
        # A schema of nobody may be that of a later release: such a record is waited for, and is no dead letter.
        roles.poison(topic, [kind for kind in poison.anywhere() if kind.name != "a schema of nobody"])
    for name, compression in CODECS.items():
        for lane in Lane:
            roles.note(lane, compression)
            roles.poison_one(topics.notification(lane), Poison(f"bad in {name}", b"{}"), compression)
        roles.device(compression)
        roles.poison_one(topics.DEVICE_CHANGED, Poison(f"bad in {name}", b"{}"), compression)
    for name, headers in ODD_HEADERS.items():
        for lane in Lane:
            roles.note(lane, headers=headers)
            roles.poison_one(topics.notification(lane), Poison(f"bad with {name}", b"{}"), headers=headers)
        roles.device(headers=headers)
        for topic in (topics.DEVICE_CHANGED, *INTERNAL):
            roles.poison_one(topic, Poison(f"bad with {name}", b"{}"), headers=headers)
    large = Poison("3 MiB in gzip", b'{"id": "big", "title": "%b"}' % (b"a" * LARGE))
    for topic in (*lanes, topics.DEVICE_CHANGED):
        roles.poison_one(topic, large, GZIP)
    for lane in Lane:
        roles.note(lane, timestamp_ms=-1)
        for at in (0, SECONDS_NOT_MS):
            value = orjson.dumps(NOTE | {"id": "early"})
            roles.poison_one(topics.notification(lane), Poison(f"at {at}", value, "created_at"), timestamp_ms=at)
    roles.device(timestamp_ms=-1)
    for lane in Lane:
        roles.note(lane)
    roles.device()

    roles.until(lambda: roles.planned().keys() >= set(roles.good), "every good notification is planned")
    roles.until(lambda: roles.rows() >= set(roles.devices), "every good device is registered")
    deadline = time.monotonic() + HANDLED_SECONDS
    while (left := untold(roles)) and time.monotonic() < deadline:
        roles.process.check()
        time.sleep(1)
    assert not left, "\n".join([f"{len(left)} of {len(roles.bad)}", *left[:40]])
    planned = roles.planned()
    assert {note: planned[note] for note in roles.good if planned[note] != 1} == {}
    assert set(planned) == set(roles.good), "a bad record was planned"
    roles.process.check()
