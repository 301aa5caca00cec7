"""Urgent senders have connections before there is work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from pushcast.model.words import Platform
from pushcast.send.early import MOST_EARLY, EarlyConnections
from twins.kafka import settled


@dataclass
class Ready:
    """A provider that notes in which order it was made ready."""

    app: str
    order: list[str]
    wait: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    platform: Platform = Platform.APNS
    engine: str = "multicast"
    slow: bool = False

    async def start(self) -> None: ...
    async def send(self, *_: Any) -> None: ...
    async def close(self) -> None: ...
    async def open_ahead(self) -> None:
        self.order.append(self.app)
        await self.wait.wait()
        if self.error is not None:
            raise self.error


def fatal(what: str, error: BaseException) -> None:
    raise AssertionError(what) from error


def providers(count: int, order: list[str]) -> list[Ready]:
    return [Ready(f"app-{number}", order) for number in range(count)]


async def test_a_sender_starts_while_its_providers_are_made_ready_one_after_the_other() -> None:
    order: list[str] = []
    first, second = providers(2, order)
    early = EarlyConnections([first, second], fatal)
    await early.start()
    await settled()
    assert order == ["app-0"]
    first.wait.set()
    await settled()
    assert order == ["app-0", "app-1"]
    await early.close()


async def test_of_thousands_of_apps_few_are_made_ready() -> None:
    order: list[str] = []
    many = providers(MOST_EARLY + 5, order)
    for each in many:
        each.wait.set()
    early = EarlyConnections(many, fatal)
    await early.start()
    for _ in many:
        await settled()
    assert len(order) == MOST_EARLY
    await early.close()


async def test_what_one_provider_raises_keeps_no_other_from_being_made_ready() -> None:
    order: list[str] = []
    first, second = providers(2, order)
    first.error = ValueError("odd")
    first.wait.set()
    early = EarlyConnections([first, second], fatal)
    with capture_logs() as lines:
        await early.start()
        await settled()
    assert order == ["app-0", "app-1"]
    assert [line["event"] for line in lines] == ["not_opened_early"]
    await early.close()
