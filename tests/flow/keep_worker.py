"""A keeper, to be killed by tests: `python -m flow.keep_worker JSON`. Prints `ready` once."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from pushcast.config.settings import Settings
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.model.words import Lane, Platform
from pushcast.runtime.hosted import host
from pushcast.stream.fatal import end_process
from pushcast.transport.host import run_apps


async def main() -> int:
    options = json.loads(sys.argv[1])
    slot = options.pop("slot", "0")
    settings = Settings.model_validate(options)
    servers = settings.kafka.bootstrap_servers
    outbox = KafkaOutbox(servers, loop=asyncio.get_running_loop(), on_fatal=lambda exc: end_process("outbox", exc))
    hosted = host(settings, ["keeper"], list(Lane), list(Platform), slot, outbox)
    code = await run_apps(hosted.apps, on_ready=lambda: print("ready", flush=True), stop=asyncio.Event())
    await outbox.close()
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(main()))
