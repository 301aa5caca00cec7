"""Webhooks, to be killed by tests: `python -m flow.webhook_worker SETTINGS CERTIFICATE`. Every name is this machine."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import sys

import httpx

from pushcast.config.settings import Settings
from pushcast.kafka.acks import AckProducer
from pushcast.runtime.webhooks import Webhooks
from pushcast.stream.fatal import end_process
from pushcast.webhook.guard import GuardedTransport


async def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def way_out() -> httpx.AsyncBaseTransport:
    inner = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=sys.argv[2]), trust_env=False)
    return GuardedTransport(inner, resolve=loopback, allowed=lambda address: address == "127.0.0.1")


async def main() -> None:
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    kafka = settings.kafka
    producer = AckProducer(
        kafka.bootstrap_servers,
        kafka.security,
        loop=asyncio.get_running_loop(),
        on_fatal=lambda error: end_process("producer", error),
    )
    webhooks = Webhooks(settings, producer, "one", way_out)
    await webhooks.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main())
