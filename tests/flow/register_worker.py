"""A registrar to be killed by tests: `python -m flow.register_worker JSON`. It prints `ready` when it is."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from pushcast.config.settings import Kafka, Settings
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.clock import SystemClock
from pushcast.register.build import build, subscriptions
from pushcast.register.names import STAGE, Topics
from pushcast.stream.fatal import end_process
from pushcast.transport.app import add_devices_table, add_stage, make_app
from pushcast.transport.host import run_apps
from pushcast.wire.control.control_state import ControlState


async def main() -> int:
    options = json.loads(sys.argv[1])
    kafka = Kafka(bootstrap_servers=options["bootstrap_servers"], partitions=options["partitions"])
    settings = Settings.model_validate({"kafka": kafka, "apps": {"news": {}}})
    outbox = KafkaOutbox(
        kafka.bootstrap_servers,
        loop=asyncio.get_running_loop(),
        on_fatal=lambda error: end_process("outbox", error),
    )
    app = make_app(
        options["group"],
        bootstrap_servers=kafka.bootstrap_servers,
        partitions=kafka.partitions,
        data_dir=Path(options["data_dir"]),
        slot=options.get("slot", "0"),
        max_poll_records=200,
    )
    names = Topics(*options["topics"])
    table = add_devices_table(app, names.device)
    table.guard(STAGE)
    stage = build(settings, table, outbox, SystemClock(), control=ControlState(), names=names)
    add_stage(app, subscriptions(settings, names), stage)
    code = await run_apps([app], on_ready=lambda: print("ready", flush=True), stop=asyncio.Event())
    await outbox.close()
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(main()))
