"""What results and faults say of the hosts of subscriptions: a host that will never be reached ends its deliveries."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.http2.errors import ConnectionFault
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Reason
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.webpush.unreachable import REASON, UnreachableHosts, is_definite


def _nobody(host: str) -> None:
    """Hears of hosts in a process that does not announce them (a benchmark, a test)."""


class HostWatch:
    """Of one app. `on_reached` is told of a host that answers although it had been given up."""

    def __init__(self, clock: Clock) -> None:
        self.on_reached: Callable[[str], None] = _nobody
        self._clock = clock
        self._unreachable = UnreachableHosts()

    def watching(self, host: str, message: Message, on_results: OnResults) -> OnResults:
        """`on_results` behind a look at what the results say of the host: when no push will ever reach it, the
        subscription is as dead as one that its service has forgotten."""
        notifications, ids = message.targets.notification, message.notification_ids

        def watching(results: list[Result]) -> None:
            now = self._clock.monotonic_seconds()
            for position, (target, disposition, reason, status, *_) in enumerate(results):
                if status is not None:
                    if self._unreachable.answered(host, now):
                        self.on_reached(host)
                    break
                if (
                    disposition is Disposition.UNSENT
                    and reason == Reason.CONNECTION_FAILED
                    and self._unreachable.failed(host, ids[notifications[target]], now)
                ):
                    at = self._clock.now_ms()
                    results[position] = Result(target, Disposition.INVALID, REASON, sent_at=at, answered_at=at)
            on_results(results)

        return watching

    def heard(self, host: str, fault: ConnectionFault) -> None:
        """A connection to the host did not come to be, or ended."""
        self.noted(host, fault.__cause__)

    def noted(self, host: str, error: BaseException | None) -> None:
        """A dial of the host failed."""
        if is_definite(error):
            self._unreachable.refused(host, self._clock.monotonic_seconds())
