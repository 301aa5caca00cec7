"""Webhooks on a real Kafka: killed in the middle of requests. Numbers are those of doors.md, section D."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flow.kafka_tools import create_topic, produce
from pushcast.config.settings import Settings
from pushcast.kafka.embedded import temporary_cluster
from pushcast.kafka.switchboard import read_state
from pushcast.model.ids import partition_of
from pushcast.wire import topics
from twins.books import receipt
from twins.certificates import certificate
from twins.webhooks import SECRET

PARTITIONS = 2
RECEIPTS = 1_500
KILLS = 3
DEADLINE_SECONDS = 90.0


class Receiver:
    """Refuses now and then, and answers slowly enough to be cut off by a kill."""

    def __init__(self) -> None:
        self.judge: Any = importlib.import_module("standardwebhooks").Webhook(SECRET)
        self.source = random.Random(7)
        self.taken: list[tuple[str, bytes]] = []
        self.gone = False

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.judge.verify(body, dict(request.headers))
        await asyncio.sleep(0.02)
        if self.gone:
            return web.Response(status=410)
        if self.source.random() < 0.2:
            return web.Response(status=503, headers={"Retry-After": "0"})
        self.taken.append((request.headers["webhook-id"], body))
        await asyncio.sleep(0.02)
        return web.Response(status=204)

    def notes(self) -> dict[str, list[str]]:
        """By partition, in the order in which they came; requests that it knew count once."""
        found: dict[str, list[str]] = defaultdict(list)
        for request_id, body in dict(reversed(self.taken)).items():
            events = [event["notification"] for event in json.loads(body)["data"]["deliveries"]]
            found[request_id.split("_")[1]][:0] = events
        return found


@contextlib.asynccontextmanager
async def receiving(folder: Path) -> AsyncIterator[tuple[Receiver, int, Path]]:
    receiver = Receiver()
    file, tls = certificate("crm.example", folder)
    app = web.Application()
    app.router.add_post("/push", receiver.post)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield receiver, runner.addresses[0][1], file
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def worker(settings: dict[str, Any], file: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "flow.webhook_worker", json.dumps(settings), str(file)]
    with log.open("ab") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, cwd=Path(__file__).parents[1])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def until(true: Any, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


@pytest.mark.timeout(300)
async def test_w1_w2_every_receipt_arrives_once_and_in_order_over_kills_and_refusals(tmp_path: Path) -> None:
    (tmp_path / "crm.whsec").write_text(SECRET)
    with temporary_cluster() as cluster:
        async with receiving(tmp_path) as (receiver, port, file):
            tree: dict[str, Any] = {
                "kafka": {"bootstrap_servers": cluster.bootstrap_servers, "partitions": PARTITIONS},
                "data_dir": str(tmp_path / "data"),
                "webhooks": {
                    "crm": {
                        "url": f"https://crm.example:{port}/push",
                        "secret_file": str(tmp_path / "crm.whsec"),
                        "events": ["deliveries.ended"],
                        "allowed_hosts": ["crm.example"],
                        "outcomes": ["accepted"],
                    }
                },
            }
            settings = Settings.model_validate(tree)
            create_topic(cluster.bootstrap_servers, topics.RECEIPT, PARTITIONS)
            create_topic(cluster.bootstrap_servers, topics.CONTROL, 1, cleanup_policy="compact")
            expected: dict[str, list[str]] = {str(partition): [] for partition in range(PARTITIONS)}
            records: list[tuple[int, bytes | None, bytes | None]] = []
            for number in range(RECEIPTS):
                user, outcome = f"u-{number}", "dead" if number % 5 == 0 else "accepted"
                partition = partition_of(user.encode(), PARTITIONS)
                records.append((partition, user.encode(), receipt(f"n-{number}", user, "d", outcome)))
                if outcome == "accepted":
                    expected[str(partition)].append(f"n-{number}")
            log = tmp_path / "worker.log"
            with worker(tree, file, log):  # a new endpoint begins now: its place must be committed first
                await asyncio.sleep(8)
            for each in range(KILLS):
                part = records[each * RECEIPTS // KILLS : (each + 1) * RECEIPTS // KILLS]
                await asyncio.to_thread(produce, cluster.bootstrap_servers, topics.RECEIPT, part)
                with worker(tree, file, log):
                    count = len(receiver.taken)
                    await until(lambda: len(receiver.taken) > count, "nothing is posted")  # noqa: B023
                    await asyncio.sleep(random.Random(each).uniform(0.0, 0.05))
            with worker(tree, file, log):
                total = sum(map(len, expected.values()))
                await until(lambda: sum(map(len, receiver.notes().values())) >= total, "not all arrived")
                assert receiver.notes() == expected
                bodies: dict[str, bytes] = {}
                for request_id, body in receiver.taken:
                    assert bodies.setdefault(request_id, body) == body
                receiver.gone = True
                await asyncio.to_thread(produce, cluster.bootstrap_servers, topics.RECEIPT, records[1:2])

                def given_up() -> bool:
                    order = read_state(settings).webhooks.get("crm")
                    return order is not None and order.state == "disabled" and "410" in order.reason

                deadline = time.monotonic() + DEADLINE_SECONDS
                while not await asyncio.to_thread(given_up):
                    assert time.monotonic() < deadline
            assert "Traceback" not in log.read_text()
