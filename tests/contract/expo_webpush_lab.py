"""Expo or Web Push against its simulator; `provider_lab` is of APNs and FCM."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from pushcast.config.settings import Settings
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.port import Provider, Result
from pushcast.providers.registry import build
from pushcast.simulators import Simulator, start
from unit.providers.messages import message

SUBSCRIPTION = 2


@dataclass
class Lab:
    simulator: Simulator
    provider: Provider

    def message(self, addresses: list[bytes], **options: Any) -> Message:
        expires_at = options.pop("expires_at", None) or [int(time.time() * 1000) + 3_600_000] * len(addresses)
        kind = SUBSCRIPTION if self.simulator.platform == "webpush" else 0
        batch = message(addresses, expires_at=expires_at, kinds=[kind] * len(addresses), **options)
        batch.created_at = [int(time.time() * 1000)]
        batch.targets.delivery_id = [uuid4().bytes for _ in addresses]
        return batch

    async def send(self, addresses: list[bytes], **options: Any) -> list[Result]:
        """Results in the order of the addresses; every one exactly once."""
        return await self.send_message(self.message(addresses, **options))

    async def send_message(self, batch: Message) -> list[Result]:
        results: list[Result] = []
        await self.provider.send(batch, range(len(batch.targets)), results.extend)
        assert sorted(result.target for result in results) == list(range(len(batch.targets)))
        return sorted(results, key=lambda result: result.target)

    def subscription(self, *, personality: str = "mozilla", verdict: str = "ok", key: bytes | None = None) -> bytes:
        """The address of a new subscription, bound to `key` when one is given."""
        made = self.simulator.subscribe(key, personality=personality, verdict=verdict)
        return orjson.dumps({"endpoint": made.endpoint, "p256dh": made.p256dh, "auth": made.auth})

    def at(self, path: str) -> bytes:
        """A subscription whose endpoint is this path of the simulator."""
        fields = orjson.loads(self.subscription())
        return orjson.dumps(fields | {"endpoint": self.simulator.url + path})

    @property
    def stats(self) -> dict[str, Any]:
        return self.simulator.stats()


async def no_task_is_left() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in others if "pushcast/providers" in str(task.get_coro())] == []


def webpush_provider(simulator: Simulator, **settings: Any) -> Provider:
    known = simulator.credentials
    own = {name: known[name] for name in ("vapid_key_file", "subject")}
    chosen = {"ca_file": str(simulator.ca_file), "allow_loopback": True, "request_timeout_seconds": 5.0, **own}
    tree = Settings(apps={"news": {"webpush": chosen | settings}})  # type: ignore[dict-item]
    return build("news", "webpush", tree)


def expo_provider(simulator: Simulator, *, clock: Clock | None = None, **settings: Any) -> ExpoProvider:
    chosen = {
        "endpoint": simulator.url,
        "ca_file": str(simulator.ca_file),
        "request_timeout_seconds": 5.0,
        "access_token_file": simulator.credentials["access_token_file"],
        "quota_per_second": simulator.credentials["quota_per_second"],
    }
    tree = Settings(apps={"news": {"expo": chosen | settings}})  # type: ignore[dict-item]
    provider = build("news", "expo", tree, clock)
    assert isinstance(provider, ExpoProvider)
    return provider


def expo_tokens(count: int, prefix: str = "") -> list[bytes]:
    return [f"ExponentPushToken[{prefix}{uuid4().hex}]".encode() for _ in range(count)]


@asynccontextmanager
async def lab_of(platform: str, work_dir: Path) -> AsyncIterator[Lab]:
    """With a started provider, which leaves no task behind."""
    async with start(platform, work_dir=work_dir) as simulator:
        provider = expo_provider(simulator) if platform == "expo" else webpush_provider(simulator)
        await provider.start()
        yield Lab(simulator, provider)
        await provider.close()
    await no_task_is_left()
