"""Quotas over two gateways that ask each other by HTTP, as their processes do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from pushcast.gateway import limits, shared_quotas
from pushcast.gateway.lease_server import LeaseClient, LeaseServer
from pushcast.gateway.shared_quotas import SharedQuotas
from pushcast.wire.control.api_keys import KeyLimits
from pushcast.wire.control.quota_leases import LeaseAsk, QuotaAsk
from twins.gateway import Rig, gateway

NOTE = {"user": "u", "title": "t"}
TOKEN = "between gateways"


@pytest.fixture(autouse=True)
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time."""
    monkeypatch.setattr(shared_quotas, "LEASE_SECONDS", 600.0)
    monkeypatch.setattr(limits, "UNTOLD_SECONDS", 600.0)


class Pair:
    """`home` counts for every key; `other` asks it."""

    def __init__(self, home: Rig, other: Rig, server: LeaseServer, quotas: SharedQuotas, ends: list[Any]) -> None:
        self.home, self.other, self.server, self.quotas = home, other, server, quotas
        self.ends = ends  # what runs when a lease is over

    def key(self, **limits: int) -> str:
        return self.home.key(limits=KeyLimits(**limits))


@asynccontextmanager
async def pair(token: str | None = TOKEN) -> AsyncIterator[Pair]:
    ends: list[Callable[[], Awaitable[None]]] = []
    async with gateway() as home, gateway(keyring=home.keyring) as other:
        server, client = LeaseServer(home.door, TOKEN), LeaseClient(token, 60.0)
        await server.start("127.0.0.1", 0)
        found = ("home", f"http://127.0.0.1:{server.port}")
        quotas = SharedQuotas(
            other.door, "other", lambda _: found, client, time.monotonic, lambda _, run: ends.append(run)
        )
        other.server.quotas = quotas
        try:
            yield Pair(home, other, server, quotas, ends)
        finally:
            await client.close()
            await server.close()


async def statuses(key: str, *rigs: Rig, times: int) -> list[int]:
    """Of posts that are sent to each of them in turn."""
    found = []
    for number in range(times):
        async with rigs[number % len(rigs)].client(key) as client:
            found.append((await client.post("/v1/notifications", json=NOTE)).status_code)
    return found


async def test_g14_a_key_gets_its_quota_over_two_gateways_and_no_more() -> None:
    async with pair() as both:
        key = both.key(requests_per_minute=20)
        found = await statuses(key, both.home, both.other, times=24)
        assert (found.count(202), found.count(429)) == (20, 4)
        async with both.other.client(key) as client:
            refused = await client.post("/v1/notifications", json=NOTE)
        assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')
        assert refused.json()["violated-policies"] == ["requests"]
        assert both.quotas.unshared == 0
        assert both.other.door.limited["requests"] > 0


async def test_a_lease_serves_many_requests_and_one_that_needs_more_gets_it() -> None:
    async with pair() as both:
        asked: list[LeaseAsk] = []
        lease = both.home.door.lease

        def noted(ask: LeaseAsk) -> Any:
            asked.append(ask)
            return lease(ask)

        both.home.door.lease = noted  # type: ignore[method-assign]
        key = both.key(requests_per_minute=100_000, notifications_per_minute=1000)
        assert await statuses(key, both.other, times=10) == [202] * 10
        assert [each.wanted for each in asked[0].quotas] == [2000, 20]
        async with both.other.client(key) as client:
            bulk = await client.post("/v1/notifications/bulk", json={"notifications": [NOTE] * 100})
        assert (bulk.status_code, asked[-1].quotas[1].wanted) == (202, 100)
        assert '"notifications";q=1000;w=60' in bulk.headers["RateLimit-Policy"]


async def test_what_is_not_used_of_a_lease_is_for_others_again() -> None:
    async with pair() as both:
        key = both.key(notifications_per_minute=100)
        assert await statuses(key, both.other, times=1) == [202]
        [mine] = both.quotas._keys.values()
        for part in mine.parts.values():
            part.until = 0.0  # a second has passed
        for end in both.ends:
            await end()
        caller = both.home.door.enter(key, "", both.home.now_ms, 0.0)[0]
        assert '"notifications";r=98;' in both.home.door.admit(caller, 1, time.monotonic())["RateLimit"]


@pytest.mark.parametrize("silence", ["closed", "wrong token"])
async def test_without_the_gateway_that_counts_nobody_is_refused_and_it_is_counted(silence: str) -> None:
    async with pair(None if silence == "wrong token" else TOKEN) as both:
        key = both.key(requests_per_minute=5)
        if silence == "closed":
            await both.server.close()
        assert await statuses(key, both.other, times=6) == [202] * 5 + [429]
        assert both.quotas.unshared == 6


async def test_requests_that_wait_for_one_lease_ask_once() -> None:
    async with pair() as both:
        key = both.key(requests_per_minute=1000)
        lease, asked = both.home.door.lease, 0

        def counted(ask: LeaseAsk) -> Any:
            nonlocal asked
            asked += 1
            return lease(ask)

        both.home.door.lease = counted  # type: ignore[method-assign]
        async with both.other.client(key) as client:
            answers = await asyncio.gather(*(client.post("/v1/notifications", json=NOTE) for _ in range(10)))
        assert [answer.status_code for answer in answers] == [202] * 10
        assert asked == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{}", 400), (b"[", 400), (b'{"gateway":"g","key":"k","quotas":[]}', 400), (b" " * 5000, 413)],
)
async def test_what_is_no_question_of_a_gateway_is_refused(body: bytes, status: int) -> None:
    async with pair() as both, httpx.AsyncClient(trust_env=False, verify=False) as client:
        url = f"http://127.0.0.1:{both.server.port}/leases"
        answer = await client.post(url, content=body, headers={"Authorization": f"Bearer {TOKEN}"})
        stranger = await client.post(url, content=body, headers={"Authorization": "Bearer x"})
    assert (answer.status_code, stranger.status_code) == (status, 401)


async def test_an_answer_that_cannot_be_read_counts_as_none() -> None:
    async with pair() as both:
        client = LeaseClient(TOKEN, 60.0)
        both.home.door.lease = lambda ask: []  # type: ignore[method-assign]
        ask = LeaseAsk("g", "k", [QuotaAsk("requests", 1, 0, 1)])
        with pytest.raises(OSError, match="0 grants for 1"):
            await client(f"http://127.0.0.1:{both.server.port}", ask)
        await client.close()
