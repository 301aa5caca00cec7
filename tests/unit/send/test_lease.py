from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.providers.breadth import WantedBreadth
from pushcast.providers.port import Disposition
from pushcast.send.abnormal import Limits
from pushcast.send.build import quiesce_seconds
from pushcast.send.lease import Lease
from pushcast.stream.batch import TP
from pushcast.wire import topics
from pushcast.wire.control.control import Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.test_many_at_once import TwinOfMany
from unit.send.twin import TOPIC, Harness, TwinProvider, failed, message, ok, send_batch


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
        assert lease.holds(92.1)
        assert not lease.holds(92.0)
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


async def test_a_woken_zombie_passes_nothing_on_that_its_successor_sends_anyway(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = TwinProvider()
    harness, coordinator = leased(provider, ladder=Ladder(DEFAULT_RUNGS))
    batch = await harness.feed(send_batch(message(3)))
    coordinator.now += 9  # it was stopped; what is answered now has lain in a socket, what is not has timed out
    results = [ok(0), failed(Disposition.UNKNOWN, target=1), failed(Disposition.RETRY, target=2)]
    provider.calls[0].answer(*results)
    await harness.settle()
    assert harness.outbox.of(topics.retry("10s")) == []
    assert harness.outbox.outcomes() == {"u0": ("accepted", None)}
    await harness.stage.revoking({TP(TOPIC, batch.partition)})
    harness.fire()
    await harness.settle()
    assert harness.outbox.of(topics.retry("10s")) == []
    assert harness.budget.held == 0
    assert harness.timers == []
    assert "not finished in time" not in caplog.text


async def test_one_that_was_stopped_for_a_moment_tries_them_again_itself() -> None:
    provider = TwinProvider()
    harness, coordinator = leased(provider, ladder=Ladder(DEFAULT_RUNGS))
    await harness.feed(send_batch(message(2)))
    coordinator.now += 9
    provider.calls[0].answer(ok(0), failed(Disposition.UNKNOWN, target=1))
    await harness.settle()
    coordinator.beat_at = coordinator.now
    for _ in range(2):
        harness.fire()
        await harness.settle()
    assert provider.seen == ["u0", "u1", "u1"]


async def test_a_provider_asks_for_the_lease_of_the_stage_before_it_writes() -> None:
    provider = TwinProvider(accept=True)
    harness, coordinator = leased(provider)
    await harness.feed(send_batch(message(1)))
    assert provider.may_leave()
    coordinator.now += 9
    assert not provider.may_leave()
    coordinator.beat_at = coordinator.now
    assert provider.may_leave()


async def test_one_of_many_messages_at_once_asks_too() -> None:
    provider = TwinOfMany(accept=True)
    harness, coordinator = leased(provider)
    await harness.feed(send_batch(message(1)))
    coordinator.now += 9
    assert not provider.may_leave()


async def test_what_the_lease_held_back_within_a_provider_goes_on_by_itself() -> None:
    provider = TwinProvider()
    harness, coordinator = leased(provider, ladder=Ladder(DEFAULT_RUNGS))
    await harness.feed(send_batch(message(3)))
    coordinator.now += 9
    provider.calls[0].answer(ok(0), *[failed(Disposition.UNSENT, "not_sent_in_time", target) for target in (1, 2)])
    await harness.settle()
    harness.fire()
    await harness.settle()
    assert provider.seen == ["u0", "u1", "u2"]
    coordinator.beat_at = coordinator.now
    harness.fire()
    await harness.settle()
    assert provider.seen[3:] == ["u1", "u2"]
    provider.calls[1].answer(ok(1), ok(2))
    await harness.settle()
    assert set(harness.outbox.outcomes()) == {"u0", "u1", "u2"}
    assert harness.outbox.of(topics.retry("10s")) == []
    assert (harness.committable(), harness.budget.held) == (101, 0)


@pytest.mark.parametrize(
    ("doubtful", "reason", "opened"),
    [(True, "connection_failed", 0), (False, "not_sent_in_time", 0), (False, "connection_failed", 1)],
)
async def test_waiting_of_our_own_says_nothing_about_the_provider(doubtful: bool, reason: str, opened: int) -> None:
    control = ControlState()
    control.live = True
    limits = Limits(least_answers=3, sustained_seconds=0.0, wanted=WantedBreadth(users=3))
    provider = TwinProvider()
    harness, coordinator = leased(provider, ladder=Ladder(DEFAULT_RUNGS), control=control, limits=limits)
    await harness.feed(send_batch(message(3)))
    coordinator.now += 9 if doubtful else 0
    provider.calls[0].answer(*[failed(Disposition.UNSENT, reason, target) for target in range(3)])
    await harness.settle()
    assert len(harness.outbox.of(topics.CONTROL)) == opened


async def test_probes_that_the_lease_held_back_leave_again_with_the_next_heartbeat() -> None:
    control = ControlState()
    control.live = True
    refused = failed(Disposition.CREDENTIAL, "expired_key", status=403)
    provider = TwinProvider(script={"u0": [refused], "u1": [failed(Disposition.UNSENT)], "u2": [ok(0)]})
    harness, coordinator = leased(provider, ladder=Ladder(DEFAULT_RUNGS), control=control, limits=Limits(probes=1))
    await harness.feed(send_batch(message(1)))
    harness.clock.advance(10)

    def shut() -> None:
        coordinator.now += 9

    provider.before = shut
    await harness.feed(send_batch(message(1, first_user=1)))
    assert provider.seen == ["u0", "u1"]
    provider.before = None
    coordinator.beat_at = coordinator.now
    await harness.feed(send_batch(message(1, first_user=2)))
    assert provider.seen == ["u0", "u1", "u2"]


def test_the_quiesce_bound_covers_the_longest_deadline_of_the_platform() -> None:
    assert quiesce_seconds(Settings(), Platform.APNS) == 12.0
    own = Settings.model_validate({"apps": {"news": {"expo": {"request_timeout_seconds": 12.5}}}})
    assert quiesce_seconds(own, Platform.EXPO) == 14.5
    assert quiesce_seconds(own, Platform.APNS) == 12.0


def test_a_deadline_that_a_rebalance_does_not_wait_for_is_refused_by_name() -> None:
    own = Settings.model_validate({"apps": {"news": {"expo": {"request_timeout_seconds": 20}}}})
    with pytest.raises(ConfigurationError, match=r"apps\.news\.expo\.request_timeout_seconds is 20 s; at most 13 s"):
        quiesce_seconds(own, Platform.EXPO)


async def test_a_woken_zombie_parks_nothing_that_its_successor_sends_anyway() -> None:
    provider = TwinProvider()
    control = ControlState()
    control.live = True
    harness, coordinator = leased(provider, ladder=Ladder(DEFAULT_RUNGS), control=control)
    await harness.feed(send_batch(message(3)))
    coordinator.now += 9
    control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), encode(Pause(1)))
    provider.calls[0].answer(ok(0), failed(Disposition.UNKNOWN, target=1), failed(Disposition.RETRY, target=2))
    await harness.settle()
    harness.fire()
    await harness.settle()
    assert harness.outbox.parked() == []
    coordinator.beat_at = coordinator.now
    harness.fire()
    await harness.settle()
    assert len(harness.outbox.parked()) == 2
