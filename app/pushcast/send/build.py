"""Puts a sender together from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import structlog

from pushcast.config.settings import Settings
from pushcast.handover.exact import Known
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Provider
from pushcast.providers.waits import longest_wait
from pushcast.send.abnormal import Limits
from pushcast.send.agent import SendStage
from pushcast.send.budget import Budget
from pushcast.send.decide import Policy
from pushcast.send.figures import Figures
from pushcast.send.isolation import Breakers, Isolation, Undisturbed
from pushcast.send.lease import Lease
from pushcast.send.proof import Proof, Unproven
from pushcast.stream.assignment import REBALANCE_TIMEOUT_SECONDS, REVOKING_SHARE
from pushcast.stream.batch import Bounds
from pushcast.stream.cancelling import Cancels
from pushcast.stream.fatal import end_process
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Fatal, Outbox
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sealing.seals import TokenKeys
from pushcast.wire.sending.retries import Ladder, rungs_of

log = structlog.get_logger(__name__)

#: After the last request's deadline: its answer, its receipt, the acknowledgement of Kafka.
QUIESCE_MARGIN_SECONDS = 2.0
#: What the transport leaves a stage for giving its partitions back.
REVOKING_SECONDS = REBALANCE_TIMEOUT_SECONDS * REVOKING_SHARE


def build(
    settings: Settings,
    *,
    platform: Platform,
    lane: Lane,
    providers: Mapping[str, Provider],
    outbox: Outbox,
    exact: Known,
    clock: Clock | None = None,
    budget: Budget | None = None,
    figures: Figures | None = None,
    random: Random | None = None,
    fatal: Fatal = end_process,
    breakers: Breakers | None = None,
    proof: Proof | None = None,
    cancels: Cancels | None = None,
    keys: Callable[[], TokenKeys] | None = None,
) -> SendStage:
    """The stage for `topics.send(platform, lane)` in the group `groups.send(platform, lane)`.

    `providers`: started, by app; an app that is not there is answered with `not_configured`. Give the stages of one
    process the same `budget` and `breakers`: `settings.send.max_in_flight` is per process, and so is what is known of a
    provider.
    """
    clock = clock or SystemClock()
    say_short_ladder(settings, platform)
    return SendStage(
        platform=platform,
        lane=lane,
        providers=providers,
        outbox=outbox,
        clock=clock,
        budget=budget or Budget(settings.send.max_in_flight),
        policy=Policy(attempts=settings.send.attempts, ladder=ladder(settings)),
        max_open_targets=bounds(settings).targets,
        quiesce_seconds=quiesce_seconds(settings, platform),
        random=random or Random(),
        figures=figures or Figures(),
        fatal=fatal,
        exact=exact,
        flood=FloodGuard(settings.flood, clock),
        isolation=Undisturbed() if breakers is None else Isolation(breakers, clock, platform, lane),
        lease=Lease(settings.kafka.session_timeout_seconds),
        slow_seconds=settings.send.slow_seconds,
        now_or_never_seconds=settings.send.now_or_never_seconds,
        proof=proof or Unproven(),
        schema_generation=settings.schemas.write,
        cancels=cancels,
        keys=keys,
        quiet_spread_ms=round(settings.keep.quiet_release_spread_seconds * 1000),
    )


def quiesce_seconds(settings: Settings, platform: Platform) -> float:
    """How long a sender that loses its partitions waits for what is at its provider.

    Raises ConfigurationError when that is longer than the group waits for it: what is under way would be sent again.
    """
    own: dict[str, float] = {
        f"apps.{name}.{platform}.request_timeout_seconds": chosen.request_timeout_seconds
        for name, app in settings.apps.items()
        if (chosen := getattr(app, platform)) is not None and chosen.request_timeout_seconds is not None
    }
    deadlines = {"send.request_timeout_seconds": settings.send.request_timeout_seconds, **own}
    longest = max(deadlines, key=lambda name: deadlines[name])
    quiesce = deadlines[longest] + QUIESCE_MARGIN_SECONDS
    if quiesce > REVOKING_SECONDS:
        raise ConfigurationError(
            f"{longest} is {deadlines[longest]:g} s; at most {REVOKING_SECONDS - QUIESCE_MARGIN_SECONDS:g} s, because a"
            f" partition is given back within {REVOKING_SECONDS:g} s and its answers need"
            f" {QUIESCE_MARGIN_SECONDS:g} s more"
        )
    return quiesce


def build_breakers(settings: Settings, control: ControlState, outbox: Outbox, figures: Figures) -> Breakers:
    """For all senders of a process."""
    chosen = settings.send.breaker
    limits = Limits(
        failure_share=chosen.failure_share,
        sustained_seconds=chosen.failures_for_seconds,
        least_answers=chosen.least_answers,
        invalid_share=chosen.invalid_share,
        least_tokens=chosen.least_tokens,
        invalid_in_a_row=chosen.invalid_in_a_row,
        open_seconds=chosen.open_seconds,
        max_open_seconds=max(chosen.open_seconds, chosen.max_open_seconds),
        probes=chosen.probes,
        probe_seconds=3 * settings.send.request_timeout_seconds,
    )
    return Breakers(control=control, outbox=outbox, clock=SystemClock(), figures=figures, limits=limits)


def ladder(settings: Settings) -> Ladder:
    """The retry ladder that the settings describe."""
    retry = settings.retry
    return Ladder(rungs_of(retry.rungs_seconds), retry.attempts, retry.jitter)


def say_short_ladder(settings: Settings, platform: Platform) -> None:
    """Logs that deliveries come back sooner than their provider asks for; a demo or a test may want just that."""
    longest = max(settings.retry.rungs_seconds)
    asked = longest_wait(platform)
    if asked.seconds > longest:
        log.warning(
            "retry_ladder_shorter_than_the_provider_asks",
            platform=str(platform),
            answer=asked.answer,
            asked_seconds=asked.seconds,
            longest_rung_seconds=longest,
            field="retry.rungs_seconds",
        )


def bounds(settings: Settings) -> Bounds:
    """Of each partition: together a few budgets, so that any of them can fill it while memory stays bounded.

    Decoded, a target takes about 0.6 KB; four budgets of 10,000 are about 25 MB. A record has at most 1,000 targets.
    """
    partitions = settings.kafka.partitions
    targets = max(2_000, 4 * settings.send.max_in_flight // partitions)
    return Bounds(records=2_000, bytes=max(1 << 20, (16 << 20) // partitions), targets=targets)
