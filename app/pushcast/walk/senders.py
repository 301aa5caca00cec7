"""Where the senders of a lane stand: asked again and again while walks are ahead of them."""

from __future__ import annotations

import logging

from pushcast.model.clock import Clock
from pushcast.stream.lane_senders import LaneSenders
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Tenures
from pushcast.walk.tenure import WalkTenure
from pushcast.walk.waits import LOOK_SECONDS

logger = logging.getLogger(__name__)


class Asking:
    """Tells each tenure's `ahead`, and wakes its walks. `name` is the stage's."""

    def __init__(
        self,
        name: str,
        senders: LaneSenders,
        tenures: Tenures[WalkTenure],
        clock: Clock,
        fatal: Fatal,
        call_later: CallLater | None,
    ) -> None:
        self._name = name
        self._senders = senders
        self._tenures = tenures
        self._clock = clock
        self._asked_at = -LOOK_SECONDS
        self._runner = Runner(f"{name}: senders", self._until, self._ask, fatal, call_later)

    def wake(self) -> None:
        """Something was planned, or a walk waits for the senders."""
        self._runner.wake()

    def _until(self) -> float | None:
        if not any(tenure.ahead.waits for tenure in self._tenures):
            return None
        return max(0.0, self._asked_at + LOOK_SECONDS - self._clock.monotonic_seconds())

    async def _ask(self) -> None:
        self._asked_at = self._clock.monotonic_seconds()
        tenures = {tenure.number: tenure for tenure in self._tenures if tenure.ahead.waits}
        try:
            found = await self._senders.committed(sorted(tenures))
        except ConnectionError as error:
            logger.warning("%s: where the senders stand is not known: %s", self._name, error)
            return
        now = self._clock.monotonic_seconds()
        for number, offsets in found.items():
            if number in tenures:
                tenures[number].ahead.committed(offsets, now)
                tenures[number].runner.wake()
