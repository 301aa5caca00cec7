"""A process that copies records to another topic, to be killed by tests: `python -m flow.transport_worker JSON`.

It prints `ready` once and then a line per batch. Records whose value starts with `hold` are kept unfinished for ever
when `hold` is set; the others are finished when their copy is acknowledged, in an order of its own. The value
`bug` makes the handler raise.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from functools import partial
from pathlib import Path

from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.batch import Batch, Bounds
from pushcast.stream.fatal import end_process
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.transport.host import run_apps


class Copy(Stage):
    def __init__(self, outbox: KafkaOutbox, target: str, hold: bool) -> None:
        self.outbox = outbox
        self.target = target
        self.hold = hold

    async def handle(self, batch: Batch) -> None:
        await self.outbox.room()
        records = list(batch.records)
        random.shuffle(records)
        records.sort(key=lambda record: record.value == b"bug")
        for record in records:
            assert record.value is not None
            if record.value == b"bug":
                raise ValueError("bug")
            if self.hold and record.value.startswith(b"hold"):
                continue
            barrier = self.outbox.barrier()
            self.outbox.put(barrier, self.target, batch.partition, record.value)
            barrier.on_acked(partial(batch.done, record.offset))
        print(len(records), flush=True)


async def main() -> int:
    options = json.loads(sys.argv[1])
    outbox = KafkaOutbox(
        options["bootstrap_servers"],
        loop=asyncio.get_running_loop(),
        on_fatal=lambda exc: end_process("outbox", exc),
    )
    app = make_app(
        options["group"],
        bootstrap_servers=options["bootstrap_servers"],
        partitions=options["partitions"],
        data_dir=Path(options["data_dir"]),
        slot=options.get("slot"),
        max_poll_records=100,
    )
    add_batch_stage(
        app, [options["source"]], Copy(outbox, options["target"], options.get("hold", False)), bounds=Bounds()
    )
    code = await run_apps([app], on_ready=lambda: print("ready", flush=True), stop=asyncio.Event())
    await outbox.close()
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(main()))
