"""A settler, to be killed by tests: `python -m flow.settle_worker JSON`. Prints `ready` once."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from pushcast.config.settings import Settings
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.clock import SystemClock
from pushcast.settle import build as settle
from pushcast.settle.exact import build_handover
from pushcast.settle.reads import SOURCES
from pushcast.stream.fatal import end_process
from pushcast.transport.app import add_batch_stage, make_app
from pushcast.transport.host import run_apps


async def main() -> int:
    options = json.loads(sys.argv[1])
    servers, partitions = options["bootstrap_servers"], options["partitions"]
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": servers, "partitions": partitions}})
    outbox = KafkaOutbox(servers, loop=asyncio.get_running_loop(), on_fatal=lambda exc: end_process("outbox", exc))
    app = make_app(
        options["group"],
        bootstrap_servers=servers,
        partitions=partitions,
        data_dir=Path(options["data_dir"]),
        slot="0",
        commit_interval_seconds=options["commit_interval_seconds"],
    )
    stage = settle.build(settings, outbox, exact=build_handover(settings, outbox, SystemClock()))
    add_batch_stage(app, SOURCES, stage, bounds=settle.bounds(settings))
    code = await run_apps([app], on_ready=lambda: print("ready", flush=True), stop=asyncio.Event())
    await outbox.close()
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(main()))
