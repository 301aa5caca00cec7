"""`bench walk`: the walk's own work in this process: rows of a RocksDB copy tested, and deliveries put into batches.

What it leaves out is Kafka: the outbox' share of a batch, and the leg records.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import rocksdict

from pushcast.bench import meter
from pushcast.bench.base import Options, Result, Row
from pushcast.model.device import DeviceRow
from pushcast.model.errors import PushcastError
from pushcast.model.ids import device_row_key, token_hash
from pushcast.transport.store import table_options
from pushcast.transport.table_reads import rows_after
from pushcast.walk.course import Course
from pushcast.walk.legs import START, OrderWalk
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.orders import Order

ITEMS: Final = 200_000
SLICE_ROWS: Final = 2_000
LEG_TARGETS: Final = 5_000
MAX_TARGETS, MAX_BYTES = 500, 524_288
T0: Final = 1_790_000_000_000
#: Row name, audience, and how many of a hundred rows are in it.
SHAPES: Final[tuple[tuple[str, dict[str, Any], int], ...]] = (
    ("walk/scan", {"topics": ["team/rare"]}, 1),
    ("walk/plan", {"all": True}, 100),
)


def run(options: Options) -> Result:
    """`walk/scan`: rows tested for a topic that 1 % follow. `walk/plan`: targets planned, one content, all devices."""
    items = options.items or ITEMS
    rows: list[Row] = []
    with _copy(items) as database:
        for name, audience, share in SHAPES:
            if not options.wants(name):
                continue
            options.say(f"{name}: {items} rows")
            _walk(database, audience)  # blocks into the cache, once
            start = meter.read(os.getpid())
            planned = _walk(database, audience)
            end = meter.read(os.getpid())
            if planned != items * share // 100:
                raise PushcastError(f"{name}: {planned} of {items} rows were planned, not {share} %")
            spent = end.cpu_seconds - start.cpu_seconds
            rows.append(Row(name, items, end.at_seconds - start.at_seconds, spent, end.rss_bytes))
    return Result(rows, {"rows": items, "slice_rows": SLICE_ROWS, "row_bytes": len(_row(0)[1])})


def _walk(database: rocksdict.Rdict, audience: dict[str, Any]) -> int:
    """Returns how many deliveries were planned."""
    event = {"id": "b-1", "app": "news", "title": "Goal!", "body": "1:0 in the 88th minute", "audience": audience}
    decoder = BroadcastDecoder({"news"}, {"default": ClassRule(60_000)})
    broadcast = decoder.decode(None, orjson.dumps(event), T0).broadcast
    walk = OrderWalk(0, {})
    order = Order("b-1", "cluster/topic", 0, T0, False, "", b"")
    course = Course("bulk", walk, order, broadcast, MAX_TARGETS, MAX_BYTES, now_ms=lambda: T0)
    leg, planned, key = walk.begin({}), 0, START
    while rows := rows_after(database, key, SLICE_ROWS):
        planned += sum(full.targets for full in course.take(leg, rows))
        key = rows[-1][0]
        if leg.planned.total() >= LEG_TARGETS:
            planned += sum(full.targets for full in course.close_all())
            walk.end(leg, leg.to_user)
            walk.to_write()
            walk.written(leg, 0)
            leg = walk.begin({})
    return planned + sum(full.targets for full in course.close_all())


@contextmanager
def _copy(items: int) -> Iterator[rocksdict.Rdict]:
    with tempfile.TemporaryDirectory(prefix="pushcast-bench-walk-") as folder:
        database = rocksdict.Rdict(str(Path(folder) / "rows"), table_options())
        try:
            for start in range(0, items, 10_000):
                batch = rocksdict.WriteBatch(raw_mode=True)
                for number in range(start, min(items, start + 10_000)):
                    batch.put(*_row(number))
                database.write(batch)
            database.flush()
            yield database
        finally:
            database.close()


def _row(number: int) -> tuple[bytes, bytes]:
    """One device a user, APNs and FCM in turn, three topics; every hundredth follows the rare one."""
    user, token = f"user-{number:09}", f"{number:064x}".encode()
    topics = ("team/arsenal", "breaking/uk", "team/rare" if number % 100 == 0 else "team/chelsea")
    row = DeviceRow(
        *(
            "news",
            "phone",
            ("apns", "fcm")[number % 2],
            "token",
            token,
            "",
            token_hash(token),
            "active",
            T0 - 9,
            T0 - 9,
        ),
        locale="en-GB",
        time_zone="Europe/London",
        app_version="7.1.0",
        topics=topics,
        first_at=T0 - 9,
    )
    return device_row_key(user, "news", "phone"), encode_row(row)
