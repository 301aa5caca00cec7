"""One provider with one engine against its simulator, with the same words for every platform."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from pushcast.config.settings import Settings
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.providers.port import Provider, Result
from pushcast.providers.registry import build
from pushcast.simulators import Simulator, start
from unit.providers.messages import message

ENGINES = [
    ("apns", "multicast"),
    ("apns", "aioapns"),
    ("apns", "httpx"),
    ("fcm", "multicast"),
    ("fcm", "httpx"),
]

_APNS: dict[str, Callable[[int], bytes]] = {
    "good": lambda n: b"%064x" % (n + (0xC0FFEE << 232)),
    "dead": lambda n: b"dead0410%056x" % n,
    "unavailable": lambda n: b"e0000503%056x" % n,
    "internal": lambda n: b"e0000500%056x" % n,
    "throttled": lambda n: b"e0000429%056x" % n,
    "silent": lambda n: b"ba5e0001%056x" % n,
    "refused": lambda n: b"ba5e0007%056x" % n,
    "slow": lambda n: b"51000300%056x" % n,
    "malformed": lambda n: b"no token %d" % n,
}
_FCM: dict[str, Callable[[int], bytes]] = {
    "good": lambda n: b"tok:APA91b%032x" % n,
    "dead": lambda n: b"unreg:APA91b%032x" % n,
    "unavailable": lambda n: b"unavail:APA91b%032x" % n,
    "internal": lambda n: b"internal:APA91b%032x" % n,
    "throttled": lambda n: b"quota:APA91b%032x" % n,
    "silent": lambda n: b"never:APA91b%032x" % n,
    "refused": lambda n: b"refused:APA91b%032x" % n,
    "slow": lambda n: b"slow300:APA91b%032x" % n,
    "malformed": lambda n: b'no"token %d' % n,
}


@dataclass
class Lab:
    """`timeout_seconds` is short enough for tests that wait for it and long enough for all others."""

    platform: str
    engine: str
    simulator: Simulator
    provider: Provider
    sent: int = field(default=0)

    def tokens(self, kind: str, count: int) -> list[bytes]:
        """Tokens that no other call of this lab returned."""
        start, self.sent = self.sent, self.sent + count
        make = (_APNS if self.platform == "apns" else _FCM)[kind]
        return [make(start + index) for index in range(count)]

    def scaled(self, count: int) -> int:
        """Fewer for the reference engines, which take up to ten milliseconds of CPU for a request."""
        return count if self.engine == "multicast" else max(count // 8, 10)

    def message(self, addresses: list[bytes], **options: Any) -> Message:
        expires_at = options.pop("expires_at", None) or [int(time.time() * 1000) + 3_600_000] * len(addresses)
        batch = message(addresses, expires_at=expires_at, **options)
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

    @property
    def accepted(self) -> int:
        return self.simulator.provider.recorder.accepted

    @property
    def duplicates(self) -> int:
        return self.simulator.provider.recorder.duplicates

    def refuse_credential_once(self) -> None:
        """The credential in use expires now, and a new one is good."""
        if self.platform == "apns":
            self.simulator.set_rules([{"effect": "reason:ExpiredProviderToken", "times": 1}])
        else:
            self.simulator.provider.set_state({"revoke_access_tokens": True})

    def revoke_credential(self) -> None:
        """No credential of this app is good any more."""
        credentials = self.simulator.credentials
        if self.platform == "apns":
            self.simulator.provider.set_state({"revoked_keys": [credentials["key_id"]]})
        else:
            self.simulator.provider.set_state({"revoked_projects": [credentials["project_id"]]})


def outcomes(results: list[Result]) -> Counter[tuple[str, str | None]]:
    return Counter((result.disposition.value, result.reason) for result in results)


#: Some tests look at many requests that are out at the same time, before the first answer.
ALL_AT_ONCE = {"limit": "fixed"}


def address_at(simulator: Simulator) -> bytes:
    """Of a new device that this simulator accepts."""
    if simulator.platform == "webpush":
        made = simulator.subscribe()
        return orjson.dumps({"endpoint": made.endpoint, "p256dh": made.p256dh, "auth": made.auth})
    made_up = uuid4().hex
    return {"apns": made_up * 2, "fcm": f"tok:APA91b{made_up}", "expo": f"ExponentPushToken[{made_up}]"}[
        simulator.platform
    ].encode()


def provider_for(
    simulator: Simulator,
    engine: str,
    *,
    clock: Clock | None = None,
    send: dict[str, Any] | None = None,
    **settings: Any,
) -> Provider:
    """The provider of app `news` at this simulator; `send` are settings of the stage, `settings` the provider's own."""
    known = {
        "key_file",
        "key_id",
        "team_id",
        "topic",
        "environment",
        "service_account_file",
        "project_id",
        "token_endpoint",
    }
    own = {name: value for name, value in simulator.credentials.items() if name in known}
    chosen = {
        "engine": engine,
        "endpoint": simulator.url,
        "ca_file": str(simulator.ca_file),
        "request_timeout_seconds": 5.0,
        **own,
        **settings,
    }
    tree = Settings.model_validate({"send": send or {}, "apps": {"news": {simulator.platform: chosen}}})
    return build("news", simulator.platform, tree, clock)


@asynccontextmanager
async def lab_with(platform: str, engine: str, work_dir: Path) -> AsyncIterator[Lab]:
    """With a started provider that has time to answer."""
    async with start(platform, work_dir=work_dir) as simulator:
        provider = provider_for(simulator, engine, request_timeout_seconds=20.0)
        await provider.start()
        yield Lab(platform, engine, simulator, provider)
        await provider.close()
