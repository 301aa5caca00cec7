"""`bench gateway`: POSTs over HTTP/1.1, each answered when Kafka has it; the CPU is the gateway's."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from pushcast.bench.base import Options, Result, Row, percentiles
from pushcast.bench.cluster import ProcessUnderTest, bench_cluster, role
from pushcast.model.errors import PushcastError
from pushcast.wire.control.api_keys import ApiKey, Hash, KeyLimits, Scope, encode_record, new_key

SINGLE, BULK = "gateway/single", "gateway/bulk"
ITEMS = 20_000
BULK_ITEMS = 500
CONNECTIONS = 32
#: The rate at which the latency is taken, as a share of the rate under full load.
HALF = 0.5
LATENCY_SECONDS = 5.0
#: At that rate before the first latency counts: what full load left in line is gone then.
SETTLE_SECONDS = 2.0
#: A broker compiles what it runs often: its first thousands of requests take several times as long.
WARM_UP_ITEMS = 10_000
#: As clients are told to: a broker without CPU may take longer than the 2 s after which a gateway refuses.
AGAIN_SECONDS = 1.0
MOST_TRIES = 60
PORT = 18_080
MAX_SHOWN_BYTES = 500


def run(options: Options) -> Result:
    """32 connections; `gateway/bulk` sends 500 notifications a request. The latency is that of half the full rate.

    `refused`: requests that were answered 503 because Kafka was slow, and sent again: they cost CPU, too.
    """
    items = options.items or ITEMS
    rows: list[Row] = []
    with _gateway(options) as (process, key):
        load = _Load(PORT, key)
        asyncio.run(load.many(WARM_UP_ITEMS, 1))
        if options.wants(SINGLE):
            start = process.reading()
            asyncio.run(load.many(items, 1))
            full = process.row(SINGLE, items, start)
            half = full.items / full.seconds * HALF
            asyncio.run(load.paced(half, SETTLE_SECONDS))
            latencies = asyncio.run(load.paced(half, LATENCY_SECONDS))
            rows.append(
                Row(full.name, full.items, full.seconds, full.cpu_seconds, full.rss_bytes, percentiles(latencies))
            )
        if options.wants(BULK):
            start = process.reading()
            asyncio.run(load.many(items * 5, BULK_ITEMS))
            rows.append(process.row(BULK, items * 5, start))
    return Result(rows, {"connections": CONNECTIONS, "bulk_items": BULK_ITEMS, "refused": load.refused})


@contextmanager
def _gateway(options: Options) -> Iterator[tuple[ProcessUnderTest, str]]:
    with bench_cluster(options, {"apps": {"news": {}}}) as cluster:
        key_id, key, digest = new_key()
        limits = KeyLimits(10_000_000, 1_000_000_000)
        record = ApiKey((Scope.NOTIFICATIONS_SEND,), (Hash(digest, 0),), limits=limits)
        keys_file = cluster.folder / "keys.json"
        keys_file.write_bytes(b'{"%b":%b}' % (key_id.encode(), encode_record(record)))
        path = cluster.folder / "pushcast.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | _section(str(keys_file))))
        with role(cluster, "gateway") as process:
            yield process, key


def _section(keys_file: str) -> dict[str, Any]:
    return {"gateway": {"port": PORT, "keys_file": keys_file}}


class _Load:
    """A client that writes whole requests and reads no more of an answer than it must."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._number = 0
        self.refused = 0  # 503

    async def many(self, items: int, each: int) -> None:
        """`items` notifications over all connections, as fast as they are answered."""
        left = iter(range(items // each))

        async def connection() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            for _ in left:
                await self._exchange(reader, writer, self._request(each))
            writer.close()

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))

    async def paced(self, per_second: float, seconds: float) -> list[float]:
        """Milliseconds of single requests that begin at this rate, from when each was due."""
        latencies: list[float] = []
        begin = time.monotonic()
        due = iter(begin + place / per_second for place in range(round(per_second * seconds)))

        async def connection() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            for at in due:
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                await self._exchange(reader, writer, self._request(1))
                latencies.append((time.monotonic() - at) * 1000)
            writer.close()

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        return latencies

    def _request(self, count: int) -> bytes:
        notes = [self._note() for _ in range(count)]
        path = "/v1/notifications" if count == 1 else "/v1/notifications/bulk"
        body = json.dumps(notes[0] if count == 1 else {"notifications": notes}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def _note(self) -> dict[str, Any]:
        self._number += 1
        number = self._number
        return {"id": f"n-{number}", "user": f"user-{number % 10_000}", "app": "news", "title": "Goal!", "body": "1:0"}

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        """Until it is taken."""
        for _ in range(MOST_TRIES):
            head, body = await self._answer(reader, writer, request)
            if not head.startswith(b"HTTP/1.1 503"):
                break
            self.refused += 1
            await asyncio.sleep(AGAIN_SECONDS)
        if not head.startswith(b"HTTP/1.1 202"):
            line = head.split(b"\r\n", 1)[0].decode()
            raise PushcastError(f"the gateway answered {line}: {body[:MAX_SHOWN_BYTES].decode(errors='replace')}")

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> tuple[bytes, bytes]:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n", 1)[0])
        return head, await reader.readexactly(length)
