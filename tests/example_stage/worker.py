"""A process that hosts ECHO as `pushcast run` would: `python -m example_stage.worker JSON`. Prints `ready` once."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from example_stage.echo.reads import ROLE
from pushcast.config.settings import Settings
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.kafka.topics import load_topology
from pushcast.runtime.hosted import host, producible
from pushcast.runtime.roles import roles_of
from pushcast.stream.fatal import end_process
from pushcast.transport.host import run_apps

TOPOLOGY = load_topology(Path(__file__).parent / "echo" / "topics")


async def main() -> int:
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    outbox = KafkaOutbox(
        settings.kafka.bootstrap_servers,
        loop=asyncio.get_running_loop(),
        on_fatal=lambda error: end_process("outbox", error),
        topics=producible([ROLE], TOPOLOGY),
    )
    hosted = host(settings, [ROLE], [], [], "0", outbox, known=roles_of("example_stage"), topology=TOPOLOGY)
    code = await run_apps(hosted.apps, on_ready=lambda: print("ready", flush=True), stop=asyncio.Event())
    await outbox.close()
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
