"""`python -m browser.million`, in tests/: how long the report of a campaign takes from first byte to painted.

A million deliveries in the stores of eight partitions, asked by HTTP as a reporter is; one Chromium. The figures stand
in docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from browser.visitor import visiting
from pushcast.model.ids import delivery_id, partition_of
from pushcast.model.words import Lane
from pushcast.report.apply import BookEntry
from pushcast.report.coordinator import Coordinator
from pushcast.report.fetch import Fetcher
from pushcast.report.follow import Follower
from pushcast.report.questions import ReportQuestions
from pushcast.report.server import ReportServer
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, PlannedFacts, Receipt, encode_planned, encode_receipt
from twins.console import ConsoleRig
from twins.gateway import NOW_MS, PARTITIONS

NOTE: Final = "campaign"
BATCH: Final = 2000
#: Of the provider.
ID: Final = "00000000-0000-0000-0000-000000000000"
VISITS: Final = 7
PAINTED: Final = '() => performance.getEntriesByName("first-contentful-paint").length > 0'
#: Milliseconds of a page since it was asked for.
TIMES: Final = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return { asked: page.requestStart, byte: page.responseStart, painted: paint.startTime, loaded: page.loadEventEnd };
}"""


@dataclass
class Stores:
    """What questions are asked of."""

    stores: dict[int, PartitionStore] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def whole(self, partition: int) -> bool:
        """Nothing is being read in."""
        return partition in self.stores

    def as_of(self, partition: int) -> int | None:
        """Not known: of now."""
        return None


def fill(folder: Path, deliveries: int) -> Stores:
    """One notification with so many deliveries, all of them accepted or gone."""
    logs = {topics.PLANNED: "a", topics.RECEIPT: "b"}
    found = Stores({number: PartitionStore(folder / str(number), logs) for number in range(PARTITIONS)})
    facts = PlannedFacts("news", "default", NOW_MS, NOW_MS, NOW_MS + 86_400_000, False, "", 0)
    waiting: dict[int, list[Receipt]] = {number: [] for number in range(PARTITIONS)}
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    for number in range(deliveries):
        user = f"user-{number}"
        partition = partition_of(user.encode(), PARTITIONS)
        gone = number % 200 == 0
        waiting[partition].append(
            Receipt(
                delivery_id(NOTE, user, "news", "d"),
                NOTE,
                user,
                "news",
                "d",
                "apns",
                Lane.BULK,
                "default",
                "invalid" if gone else "accepted",
                "device_unregistered" if gone else None,
                ID,
                410 if gone else 200,
                1,
                False,
                0,
                partition,
                number,
                NOW_MS,
                NOW_MS + 100 + number % 50_000,
            )
        )
        if len(waiting[partition]) == BATCH or number == deliveries - 1:
            for each in [partition] if number < deliveries - 1 else range(PARTITIONS):
                _apply(found.stores[each], offsets[each], waiting[each], facts)
                offsets[each] += len(waiting[each])
                waiting[each] = []
    return found


def _apply(store: PartitionStore, offset: int, receipts: list[Receipt], facts: PlannedFacts) -> None:
    if not receipts:
        return
    planned = Planned(Lane.BULK)
    for receipt in receipts:
        planned.add(receipt.source_offset, NOTE, {"apns": 1}, facts=facts)
    store.apply(topics.PLANNED, [BookEntry(offset // BATCH, encode_planned(planned, NOW_MS))])
    entries = [
        BookEntry(offset + index, encode_receipt(each), (), each.user.encode()) for index, each in enumerate(receipts)
    ]
    store.apply(topics.RECEIPT, entries)


async def measure(deliveries: int) -> dict[str, Any]:
    """Medians over a few visits, each by a browser that has the style sheet already."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        stores = fill(Path(folder), deliveries)
        filled = time.monotonic() - began
        server = ReportServer(ReportQuestions(cast(Follower, stores)), None)
        await server.start("127.0.0.1", 0)
        fetcher = Fetcher(None)
        urls = dict.fromkeys(range(PARTITIONS), f"http://127.0.0.1:{server.port}")
        rig = ConsoleRig(reports=Coordinator(lambda: urls, PARTITIONS, fetcher, lambda: NOW_MS + 60_000))
        await rig.console.start("127.0.0.1", 0)
        try:
            async with visiting(rig) as visitor:
                await visitor.sign_in()
                seen = []
                for _ in range(VISITS):
                    await visitor.open(f"/reports/{NOTE}")
                    await visitor.page.get_by_text(f"{deliveries:,} of {deliveries:,} ended").wait_for()
                    await visitor.page.wait_for_function(PAINTED)  # where others have the cores, loaded comes first
                    seen.append(await visitor.page.evaluate(TIMES))
        finally:
            await rig.console.close()
            await fetcher.close()
            await server.close()
            for store in stores.stores.values():
                store.close()

    def median(until: str, since: str) -> float:
        return round(sorted(each[until] - each[since] for each in seen)[len(seen) // 2], 1)

    return {
        "deliveries": deliveries,
        "fill_seconds": round(filled, 1),
        "first_byte_ms": median("byte", "asked"),
        "first_byte_to_painted_ms": median("painted", "byte"),
        "asked_to_painted_ms": median("painted", "asked"),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))))
