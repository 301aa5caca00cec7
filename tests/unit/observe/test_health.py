from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.model.zones import tzdata_version
from pushcast.observe import health
from pushcast.observe.health import MAX_CONNECTIONS, MAX_REQUEST_BYTES, HealthServer


class Process:
    """What the probes say."""

    def __init__(self) -> None:
        self.live: list[str] = []
        self.ready: list[str] = []
        self.degraded: list[str] = []
        self.broken = False

    def metrics(self) -> bytes:
        if self.broken:
            raise RuntimeError("no figures")
        return b"pushcast_info 1\n"


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
async def server(process: Process) -> AsyncIterator[HealthServer]:
    server = HealthServer(
        metrics=process.metrics,
        info=lambda: {"role": "planner", "position": 7},
        live=lambda: process.live,
        ready=lambda: process.ready,
        degraded=lambda: process.degraded,
    )
    await server.start()
    yield server
    await server.close()


async def _ask(server: HealthServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split(" ")[1]), dict(line.split(": ", 1) for line in lines), body


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


async def test_it_listens_on_loopback_at_a_free_port(server: HealthServer) -> None:
    assert server.host == "127.0.0.1"
    assert server.port > 0


async def test_metrics_are_plain_text(server: HealthServer) -> None:
    status, headers, body = await _ask(server, _get("/metrics"))
    assert (status, body) == (200, b"pushcast_info 1\n")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_info_is_json(server: HealthServer) -> None:
    status, headers, body = await _ask(server, _get("/_info?verbose=1"))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"role": "planner", "position": 7, "tzdata_version": tzdata_version()}


async def test_what_leaves_a_process_at_its_work_is_told_by_a_ready_one(process: Process, server: HealthServer) -> None:
    process.degraded = ["push.notification.bulk.v1 has 12 partitions by now"]
    status, _, body = await _ask(server, _get("/health/ready"))
    assert (status, json.loads(body)) == (200, {"status": "degraded", "problems": process.degraded})
    process.ready = ["tables are recovering"]
    status, _, body = await _ask(server, _get("/health/ready"))
    assert (status, json.loads(body)) == (503, {"status": "failing", "problems": process.ready + process.degraded})


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_is_503_with_the_reasons_while_something_is_wrong(
    server: HealthServer, process: Process, path: str
) -> None:
    assert (await _ask(server, _get(path)))[0] == 200
    setattr(process, path.rpartition("/")[2], ["pushcast-plan-bulk: recovering"])
    status, _, body = await _ask(server, _get(path))
    assert status == 503
    assert json.loads(body) == {"status": "failing", "problems": ["pushcast-plan-bulk: recovering"]}


async def test_head_has_the_length_and_no_body(server: HealthServer) -> None:
    status, headers, body = await _ask(server, b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert (status, headers["content-length"], body) == (200, "16", b"")


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (_get("/"), 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / SPDY/1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * (2 * MAX_REQUEST_BYTES), 431),
    ],
)
async def test_a_wrong_request_gets_a_status_of_its_own(
    server: HealthServer, request_bytes: bytes, expected: int
) -> None:
    assert (await _ask(server, request_bytes))[0] == expected


async def test_a_probe_that_raises_is_a_500_and_the_server_goes_on(
    server: HealthServer, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    process.broken = True
    assert (await _ask(server, _get("/metrics")))[0] == 500
    assert "no figures" in caplog.text
    assert (await _ask(server, _get("/health/live")))[0] == 200


async def test_connections_above_the_bound_are_refused_and_later_ones_served(server: HealthServer) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_CONNECTIONS)]
    async with asyncio.timeout(10):
        while len(server._open) < MAX_CONNECTIONS:
            await asyncio.sleep(0.001)
    reader, refused = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(10):
        assert await reader.read() == b"", "closed without an answer"
    refused.close()
    for _, writer in idle:
        writer.close()
    async with asyncio.timeout(10):
        while server._open:
            await asyncio.sleep(0.001)
    assert (await _ask(server, _get("/health/live")))[0] == 200


async def test_closing_ends_open_connections(server: HealthServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(10):
        while not server._open:
            await asyncio.sleep(0.001)
        await server.close()
        assert await reader.read() == b""
    writer.close()


async def test_a_client_that_does_not_read_is_cut_off_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection counted no more, and stayed for ever: each one held a whole answer in memory."""
    monkeypatch.setattr(health, "REQUEST_SECONDS", 0.2)
    answer = b"x" * 30_000_000  # more than sockets take
    server = HealthServer(metrics=lambda: answer, info=dict, live=tuple, ready=tuple)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(_get("/metrics"))
    async with asyncio.timeout(30):
        while not server._open:
            await asyncio.sleep(0.01)
        while server._open:
            await asyncio.sleep(0.01)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(len(answer))
    writer.close()
    await server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
async def test_a_port_that_is_taken_or_not_ours_is_refused_by_its_setting(server: HealthServer, host: str) -> None:
    """It ended the process with a traceback, and a supervisor started it again for ever."""
    other = HealthServer(metrics=bytes, info=dict, live=tuple, ready=tuple, host=host, port=server.port)
    with pytest.raises(ConfigurationError, match=rf"observe\.host, observe\.port: {host}:{server.port}: "):
        await other.start()
    await other.close()
