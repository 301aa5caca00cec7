"""A canary: a push to a device of the operator's own, each period, all the way that every other push goes. Pure.

Two reporters that own its partition at once make the same notification: its id is that of the period, so PLAN drops the
second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from pushcast.model.ids import partition_of
from pushcast.model.own import CANARY_ID, CANARY_USER
from pushcast.model.words import Outcome, Platform
from pushcast.report.rows import Delivery

DEVICE: Final = "canary"


class Canary(NamedTuple):
    """What is sent, to where, how often. `address`: the fields of a registration that say where the device is."""

    app: str
    platform: Platform
    every_ms: int
    address: dict[str, Any]
    dry: bool

    @property
    def user(self) -> str:
        """It has no other device."""
        return f"{CANARY_USER}{self.app}:{self.platform}"

    def partition(self, partitions: int) -> int:
        """Whoever reports on it sends it."""
        return partition_of(self.user.encode(), partitions)

    def period(self, now_ms: int) -> int:
        """Number of the period that holds this time."""
        return now_ms // self.every_ms

    def note_id(self, period: int) -> str:
        """The same in every process."""
        return f"{CANARY_ID}{self.app}-{self.platform}-{period}"

    def registration(self, now_ms: int) -> bytes:
        """JSON for `push.device.changed.v1`: written each period, so that a canary that was called dead comes back."""
        own = {"op": "register", "app": self.app, "device": DEVICE, "platform": self.platform, "at": now_ms}
        return msgspec.json.encode({**own, **self.address})

    def notification(self, now_ms: int) -> bytes:
        """JSON for `push.notification.urgent.v1`."""
        return msgspec.json.encode(
            {
                "id": self.note_id(self.period(now_ms)),
                "app": self.app,
                "title": "canary",
                "created_at": now_ms,
                "options": {"dry_run": self.dry, "ttl_seconds": min(self.every_ms // 1000, 3600)},
            }
        )


class Success(NamedTuple):
    """The last push that the provider accepted."""

    at_ms: int
    seconds: float  # from creation to the provider's answer


class CanaryVerdict(NamedTuple):
    """How a canary fares. `reason`: why it has failed; empty where it has not."""

    failed: bool
    reason: str = ""


#: Periods without an accepted push after which a canary has failed, whatever became of its pushes.
SILENT_PERIODS: Final = 2
SILENT: Final = "silent"


def verdict(deliveries: Iterable[Delivery], since_ms: int, every_ms: int, now_ms: int) -> CanaryVerdict | None:
    """Of a canary's deliveries, in any order. None: it is too early to tell.

    A push that ended without being accepted is a failure at once; a canary of which nothing is heard, after two
    periods. `since_ms`: when somebody began to look: what was not sent before that is nobody's failure.
    """
    newest = max(deliveries, key=lambda each: each.ended_at, default=None)
    heard_at = since_ms if newest is None else max(since_ms, newest.ended_at)
    if now_ms - heard_at > SILENT_PERIODS * every_ms:
        return CanaryVerdict(True, SILENT)
    if newest is None:
        return None
    return (
        CanaryVerdict(False)
        if newest.outcome == Outcome.ACCEPTED
        else CanaryVerdict(True, newest.reason or newest.outcome)
    )


def last_success(deliveries: Iterable[Delivery]) -> Success | None:
    """Of a canary's deliveries, in any order; None: none was accepted."""
    accepted = [each for each in deliveries if each.outcome == Outcome.ACCEPTED]
    if not accepted:
        return None
    last = max(accepted, key=lambda each: each.ended_at)
    return Success(last.ended_at, (last.ended_at - last.created_at) / 1000)
