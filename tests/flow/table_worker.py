"""A process that owns partitions of a devices table: `python -m flow.table_worker JSON`.

It prints `ready` when it is assigned and recovered. For each line on its standard input it prints the partitions that
it owns, the position of each, and all rows of them, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from pushcast.stream.batch import Batch, Bounds
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, add_devices_table, make_app
from pushcast.transport.host import run_apps


class Ignore(Stage):
    async def handle(self, batch: Batch) -> None:
        batch.done_all()


async def main() -> int:
    options = json.loads(sys.argv[1])
    app = make_app(
        options["group"],
        bootstrap_servers=options["bootstrap_servers"],
        partitions=options["partitions"],
        data_dir=Path(options["data_dir"]),
        session_timeout_seconds=6.0,
    )
    table = add_devices_table(app, options["devices"])
    stage = Ignore()
    add_batch_stage(app, [options["source"]], stage, bounds=Bounds())
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)

    async def answer() -> None:
        while await questions.readline():
            owned = sorted(tp.partition for tp in stage.work.partitions())
            rows = {p: [(k.hex(), v.hex()) for k, v in table.scan(p, b"")] for p in owned}
            print(json.dumps({"positions": {p: table.position(p) for p in owned}, "rows": rows}), flush=True)

    answering = asyncio.create_task(answer())
    code = await run_apps([app], on_ready=lambda: print("ready", flush=True), stop=asyncio.Event())
    answering.cancel()
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(main()))
