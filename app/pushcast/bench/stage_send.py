"""`stage/apns`: SendBatch records in Kafka → sender process → APNs simulator → receipts acknowledged → commit.

`send/sealed` is the same with sealed addresses, which the sender opens.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import Producer

from pushcast.bench import sink
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.device import AddressKind
from pushcast.model.errors import PushcastError
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content
from pushcast.model.notification import Options as SendOptions
from pushcast.model.words import Lane, Platform
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import groups, topics
from pushcast.wire.sealing.keyring import VERSION, Keyring, encode_keyring, wrap
from pushcast.wire.sealing.rotation import with_key
from pushcast.wire.sealing.seals import KEY_BYTES, NONCE_BYTES, Place, TokenKeys
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.times import rfc3339

ROW = "stage/apns"
CHAT_ROW = "stage/chat"
SEALED_ROW = "send/sealed"
ITEMS = 200_000
WARM_UP_ITEMS = 10_000
TARGETS_PER_RECORD = 500
BODY = "x" * 800  # with title, data and quotes a payload of about 1 KB
TTL_MS = 3_600_000
KEY_ID = "t1"
TIMEOUT_SECONDS = 300.0
TOPIC = topics.send(Platform.APNS, Lane.BULK)
GROUP = groups.send(Platform.APNS, Lane.BULK)


class Shape(NamedTuple):
    """What the targets of a row are. `chat`: a content of its own for each; `sealed`: addresses under a key."""

    chat: bool = False
    sealed: bool = False


SHAPES: Final = {ROW: Shape(), SEALED_ROW: Shape(sealed=True), CHAT_ROW: Shape(chat=True)}


def run(options: Options) -> Result:
    """500 targets a record, a notification id and a device of their own each: one content for all of them in
    `stage/apns` and `send/sealed`, one for each in `stage/chat` (a tenth of the items)."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"targets_per_record": TARGETS_PER_RECORD, "body_chars": len(BODY), "sink": "pushcast sim"}
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as folder,
        simulator(Path(folder)) as sim,
        bench_cluster(options, sections(sim, keyring := Keys(Path(folder)))) as cluster,
        role(cluster, "sender", "--platform", "apns", "--lane", "bulk", "--slot", "b") as process,
    ):
        setup["partitions"] = cluster.settings.kafka.partitions
        for name, shape in SHAPES.items():
            if not options.wants(name):
                continue
            keys = keyring.keys if shape.sealed else None
            options.say(f"{name}: warming up with {WARM_UP_ITEMS} pushes")
            load(cluster, process, WARM_UP_ITEMS, shape.chat, keys)
            count = max(1, items // 10) if shape.chat else items
            rows.append(measured(cluster, process, sim, name, count, options, shape.chat, keys))
    return Result(rows, setup)


class Keys:
    """A keyring of its own: one key, in files that the sender reads."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keyring.json"
        outer_file, outer, key = folder / "outer", secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
        wrapped = wrap(key, outer, KEY_ID, secrets.token_bytes(NONCE_BYTES))
        ring = with_key(Keyring(f"file:{outer_file}", VERSION), KEY_ID, wrapped, rfc3339(0))
        for file, value in ((outer_file, b64encode(outer)), (self.file, encode_keyring(ring))):
            file.touch(mode=0o600)
            file.write_bytes(value)
        self.keys = TokenKeys({KEY_ID: key}, KEY_ID)


def sections(sim: dict[str, Any], keyring: Keys) -> dict[str, Any]:
    """Of the configuration."""
    return {
        "apps": {"news": {"apns": provider_settings(sim)}},
        "sealing": {"keyring_file": str(keyring.file)},
    }


def measured(
    cluster: BenchCluster,
    process: ProcessUnderTest,
    sim: dict[str, Any],
    name: str,
    items: int,
    options: Options,
    chat: bool,
    keys: TokenKeys | None,
    trace: str = "",
) -> Row:
    """One row of the SEND stage: send records are written, and its receipts are awaited."""
    before = sum(cluster.ends(topics.RECEIPT))
    accepted_before = _accepted(sim)
    options.say(f"{name}: {items} pushes")
    start = process.reading()
    load(cluster, process, items, chat, keys, trace)
    row = process.row(name, items, start)
    receipts, accepted = sum(cluster.ends(topics.RECEIPT)) - before, _accepted(sim) - accepted_before
    if receipts != items or accepted != items:
        raise PushcastError(f"{items} pushes became {accepted} at the simulator and {receipts} receipts")
    return row


def load(
    cluster: BenchCluster,
    process: ProcessUnderTest,
    items: int,
    chat: bool,
    keys: TokenKeys | None = None,
    trace: str = "",
) -> None:
    """Produces send records and returns when the sender has committed all of them: their receipts are acknowledged."""
    partitions = cluster.settings.kafka.partitions
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 5})
    for number, value in enumerate(records(items, chat, int(time.time() * 1000), keys, trace)):
        producer.produce(TOPIC, value, None, number % partitions)
        producer.poll(0)
    left = producer.flush(TIMEOUT_SECONDS)
    if left:
        raise PushcastError(f"{left} send records could not be produced")
    ends = cluster.ends(TOPIC)
    process.until(lambda: cluster.committed(GROUP, TOPIC) == ends, "all send records are committed", TIMEOUT_SECONDS)


def records(items: int, chat: bool, now_ms: int, keys: TokenKeys | None = None, trace: str = "") -> Iterator[bytes]:
    """Encoded send records, the last one smaller when `items` is no multiple. `keys`: that seal the addresses. `trace`:
    the `traceparent` of every event."""
    for first in range(0, items, TARGETS_PER_RECORD):
        numbers = range(first, min(first + TARGETS_PER_RECORD, items))
        parts = [range(number, number + 1) for number in numbers] if chat else [numbers]
        yield encode_batch(SendBatch(Lane.BULK, Platform.APNS, [_message(part, now_ms, keys, trace) for part in parts]))


def _message(numbers: range, now_ms: int, keys: TokenKeys | None, trace: str) -> Message:
    targets = Targets()
    columns = targets.columns()
    ids = [f"{now_ms:x}-{number:012x}" for number in numbers]
    for index, (number, notification) in enumerate(zip(numbers, ids, strict=True)):
        user, device = f"user-{number}", f"device-{number}"
        address, key_id = f"{number:064x}".encode(), ""
        digest = token_hash(address)
        if keys is not None:
            place = Place("news", Platform.APNS, AddressKind.TOKEN, user, device)
            key_id, address = keys.seal(address, place, secrets.token_bytes(NONCE_BYTES))
        target = (
            index,
            user,
            device,
            delivery_id(notification, user, "news", device),
            0,
            address,
            key_id,
            digest,
            now_ms,
            number,
            now_ms + TTL_MS,
            0,
        )
        for column, value in zip(columns, target, strict=True):
            column.append(value)
    return Message(
        app="news",
        klass="digest",
        content=Content("Goal!", f"{numbers.start} {BODY}", {"match": "4711"}),
        options=SendOptions(),
        content_hash=token_hash(str(numbers.start).encode()),
        notification_ids=ids,
        created_at=[now_ms] * len(ids),
        traces=[trace] * len(ids),
        targets=targets,
    )


@contextmanager
def simulator(folder: Path) -> Iterator[dict[str, Any]]:
    """`pushcast sim apns --checks off` in a process of its own; its line of JSON."""
    with sink.simulator(Platform.APNS, folder) as sim:
        yield dict(sim.line)


def _accepted(sim: dict[str, Any]) -> int:
    with urllib.request.urlopen(f"{sim['control_url']}/stats", timeout=10) as answer:  # noqa: S310 - loopback, our own
        return int(json.load(answer)["accepted"])
