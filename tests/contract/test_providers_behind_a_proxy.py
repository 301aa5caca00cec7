"""Every provider and engine that takes a proxy, against its simulator behind one."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from contract.provider_lab import address_at
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.providers.port import Provider, Result
from pushcast.providers.registry import build
from pushcast.simulators import Simulator, start
from pushcast.simulators.configuration import provider_settings
from unit.providers.messages import message
from unit.providers.tunnel import Tunnel, tunnel

ENGINES = [
    ("apns", "multicast"),
    ("apns", "httpx"),
    ("fcm", "multicast"),
    ("fcm", "httpx"),
    ("expo", "httpx"),
    ("webpush", "multicast"),
]
SUBSCRIPTION = 2


def provider_behind(simulator: Simulator, engine: str, proxy: dict[str, Any]) -> Provider:
    chosen = provider_settings(simulator.describe()) | {"engine": engine, "proxy": proxy}
    chosen["request_timeout_seconds"] = 5.0
    return build("news", simulator.platform, Settings(apps={"news": {simulator.platform: chosen}}))  # type: ignore[dict-item]


async def sent(simulator: Simulator, provider: Provider) -> Result:
    kind = SUBSCRIPTION if simulator.platform == "webpush" else 0
    push = message([address_at(simulator)], kinds=[kind], expires_at=[int(time.time() * 1000) + 3_600_000])
    push.targets.delivery_id = [uuid4().bytes]
    results: list[Result] = []
    await provider.start()
    try:
        await provider.send(push, [0], results.extend)
    finally:
        await provider.close()
    (result,) = results
    return result


def hosts(proxy: Tunnel) -> set[bytes]:
    return {head.split()[1] for head in proxy.asked}


@pytest.mark.parametrize(("platform", "engine"), ENGINES)
async def test_everything_goes_through_the_proxy(platform: str, engine: str, tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("secret\n")
    async with tunnel() as (proxy, port), start(platform, work_dir=tmp_path) as simulator:
        settings = {"url": f"http://127.0.0.1:{port}", "username": "push", "password_file": password_file}
        result = await sent(simulator, provider_behind(simulator, engine, settings))
        assert (result.disposition, result.reason) == ("accepted", None)
        assert simulator.provider.recorder.accepted == 1
        # FCM's access token comes through it too.
        assert len(proxy.asked) == simulator.provider.opened_total == (2 if platform == "fcm" else 1)
        assert hosts(proxy) == {f"127.0.0.1:{simulator.port}".encode()}
    credentials = base64.b64encode(b"push:secret")
    assert all(b"roxy-Authorization: Basic " + credentials in head for head in proxy.asked)


@pytest.mark.parametrize(("platform", "engine"), ENGINES)
async def test_a_proxy_that_refuses_leaves_everything_unsent(platform: str, engine: str, tmp_path: Path) -> None:
    async with (
        tunnel(b"HTTP/1.1 403 Forbidden\r\n\r\n") as (proxy, port),
        start(platform, work_dir=tmp_path) as simulator,
    ):
        provider = provider_behind(simulator, engine, {"url": f"http://127.0.0.1:{port}"})
        result = await sent(simulator, provider)
        assert result.disposition == "unsent"
        assert proxy.asked
        assert simulator.provider.opened_total == 0


async def test_behind_a_proxy_web_push_reaches_listed_hosts_only(tmp_path: Path) -> None:
    async with tunnel() as (proxy, port), start("webpush", work_dir=tmp_path) as simulator:
        provider = provider_behind(simulator, "multicast", {"url": f"http://127.0.0.1:{port}"})
        made = simulator.subscribe()
        elsewhere = {"endpoint": "https://push.example/wp/x", "p256dh": made.p256dh, "auth": made.auth}
        results: list[Result] = []
        await provider.start()
        await provider.send(message([orjson.dumps(elsewhere)], kinds=[SUBSCRIPTION]), [0], results.extend)
        await provider.close()
        assert [(result.disposition, result.reason) for result in results] == [("rejected", "endpoint_refused")]
        assert proxy.asked == []


async def test_a_password_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path) -> None:
    async with start("apns", work_dir=tmp_path) as simulator:
        proxy = {"url": "http://127.0.0.1:1", "username": "push", "password_file": tmp_path / "none"}
        with pytest.raises(ConfigurationError, match=r"apps\.news\.apns: proxy\.password_file: cannot read"):
            provider_behind(simulator, "multicast", proxy)
