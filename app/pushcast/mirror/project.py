"""One app's project: changes go to it at its pace, and it is left alone for a while after it refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pushcast.mirror.decide import pause_seconds
from pushcast.model.clock import Clock
from pushcast.providers.fcm.subscriptions import EXCHANGE_CHANGES, SubscriptionChange, TopicSubscriptions
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict

log = structlog.get_logger(__name__)
Sleep = Callable[[float], Awaitable[None]]

#: For its turn a change waits so long; for longer its partition is handed over again, so that nothing holds a stop up.
LONGEST_WAIT_SECONDS = 2.0
#: Refusals that are the project's, not one device's.
_OF_THE_PROJECT = (Disposition.CREDENTIAL, Disposition.UNSENT)


class Project:
    """Not thread safe: it belongs to the event loop. Several partitions tell it at once."""

    def __init__(
        self,
        app: str,
        subscriptions: TopicSubscriptions,
        topics: Sequence[str],
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.app = app
        self.topics = topics
        self._subscriptions = subscriptions
        self._clock = clock
        self._sleep = sleep
        self._quiet_until = 0.0  # monotonic seconds
        self._refusals = 0
        self._last = Verdict(Disposition.UNSENT, None)

    def share(self, fraction: float) -> None:
        """The part of the project's quota that is this process's: its partitions of all."""
        self._subscriptions.pace.share(fraction)

    async def tell(self, changes: Sequence[SubscriptionChange], lost: Callable[[], bool]) -> list[Verdict]:
        """What the project says to each. `lost`: nobody wants to hear any more. Raises nothing."""
        verdicts: list[Verdict] = []
        while len(verdicts) < len(changes) and not lost():
            if self._clock.monotonic_seconds() < self._quiet_until:
                break
            rest = changes[len(verdicts) : len(verdicts) + EXCHANGE_CHANGES]
            grant = self._subscriptions.pace.take(len(rest), self._clock.monotonic_seconds())
            if grant.wait_seconds > LONGEST_WAIT_SECONDS:
                self._subscriptions.pace.give_back(grant.granted)
                self._quiet_until = self._clock.monotonic_seconds() + grant.wait_seconds
                break
            if grant.wait_seconds:
                await self._sleep(grant.wait_seconds)
            answers = await self._subscriptions.tell(rest[: grant.granted])
            self._note(answers)
            verdicts += answers
        return verdicts + [self._last] * (len(changes) - len(verdicts))

    def _note(self, answers: Sequence[Verdict]) -> None:
        refused = [verdict for verdict in answers if verdict.disposition in _OF_THE_PROJECT]
        waiting = [verdict for verdict in answers if verdict.retry_after_seconds]
        if not refused and len(waiting) < len(answers):
            self._refusals = 0
            return
        self._last = (refused or waiting)[0]
        seconds = pause_seconds(self._last, self._refusals)
        self._refusals += 1
        self._quiet_until = self._clock.monotonic_seconds() + seconds
        log.warning("fcm_topics_refused", app=self.app, reason=self._last.reason, seconds=seconds)
