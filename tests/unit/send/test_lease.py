from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.providers.port import Disposition
from pushcast.send.build import quiesce_seconds
from pushcast.send.lease import Lease
from unit.send.twin import Harness, TwinProvider, failed, message, send_batch


class Coordinator:
    """Boot time, and the last heartbeat that was answered."""

    def __init__(self) -> None:
        self.now = 500.0
        self.beat_at = 500.0

    def last_heartbeat_at(self) -> float:
        return self.beat_at


def leased(*providers: TwinProvider, **other: Any) -> tuple[Harness, Coordinator]:
    coordinator = Coordinator()
    harness = Harness(*providers, lease=Lease(10.0, lambda: coordinator.now), **other)
    harness.stage.work = cast(Any, coordinator)
    return harness, coordinator


def test_it_holds_for_the_session_timeout_less_a_margin_and_says_when_that_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    lease = Lease(10.0, lambda: now)
    with caplog.at_level(logging.WARNING):
        assert lease.holds(92.0)
        assert not lease.holds(91.9)
        assert not lease.holds(0.0)
        assert lease.holds(100.0)
    assert [record.message[:12] for record in caplog.records] == ["no heartbeat", "the group's "]


async def test_nothing_leaves_without_a_heartbeat_and_it_goes_on_with_the_next() -> None:
    provider = TwinProvider(accept=True)
    harness, coordinator = leased(provider)
    coordinator.now += 9
    await harness.feed(send_batch(message(3)))
    assert provider.seen == []
    harness.fire()
    await harness.settle()
    assert provider.seen == []
    coordinator.beat_at = coordinator.now
    harness.fire()
    await harness.settle()
    assert provider.seen == ["u0", "u1", "u2"]
    assert harness.committable() == 101
    assert harness.timers == []


async def test_a_second_try_waits_for_a_heartbeat_too() -> None:
    provider = TwinProvider(script={"u0": [failed(Disposition.UNSENT), failed(Disposition.REJECTED)]})
    harness, coordinator = leased(provider)
    await harness.feed(send_batch(message(1)))
    coordinator.now += 9
    for _ in range(3):
        harness.fire()
        await harness.settle()
    assert provider.seen == ["u0"]
    coordinator.beat_at = coordinator.now
    harness.fire()
    await harness.settle()
    assert provider.seen == ["u0", "u0"]


def test_the_quiesce_bound_covers_the_longest_deadline_of_the_platform() -> None:
    assert quiesce_seconds(Settings(), Platform.APNS) == 12.0
    own = Settings.model_validate({"apps": {"news": {"expo": {"request_timeout_seconds": 12.5}}}})
    assert quiesce_seconds(own, Platform.EXPO) == 14.5
    assert quiesce_seconds(own, Platform.APNS) == 12.0


def test_a_deadline_that_a_rebalance_does_not_wait_for_is_refused_by_name() -> None:
    own = Settings.model_validate({"apps": {"news": {"expo": {"request_timeout_seconds": 20}}}})
    with pytest.raises(ConfigurationError, match=r"apps\.news\.expo\.request_timeout_seconds is 20 s; at most 13 s"):
        quiesce_seconds(own, Platform.EXPO)
