"""How far a walk is ahead of the senders, by platform: the bound that lets a stop take effect within seconds. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from pushcast.stream.lane_senders import GONE_SECONDS

#: So many seconds of the senders' work are ahead at most: a notification that comes in mid-walk waits no longer for it.
AHEAD_SECONDS: Final = 3.0
#: But so many targets at least, of those that the bound allows: senders that were slow may become fast.
LEAST_TARGETS: Final = 1_000
#: The senders' rate is that of the last seconds.
RATE_SECONDS: Final = 5.0

#: Stands for the keeper beside the platforms: what it holds for users it has to read first, as senders do.
KEEPER: Final = "keep"


class Ahead:
    """One partition of one lane."""

    def __init__(self, max_targets: int) -> None:
        self._max_targets = max_targets
        self._batches: dict[str, deque[tuple[int, int]]] = {}  # end of the topic behind a batch, its targets
        self._targets: dict[str, int] = {}
        self._moved_at: dict[str, float] = {}  # when the senders last moved, or had nothing to do
        self._taken: dict[str, deque[tuple[float, int]]] = {}  # when, and how many targets, in the last seconds

    def put(self, platform: str, targets: int, now: float) -> None:
        """A batch is on its way to Kafka."""
        if not self._targets.get(platform):
            self._moved_at[platform] = now
        self._targets[platform] = self._targets.get(platform, 0) + targets

    def acked(self, platform: str, end: int, targets: int) -> None:
        """It is acknowledged; `end`: a known end of its topic, behind it."""
        self._batches.setdefault(platform, deque()).append((end, targets))

    def committed(self, offsets: Mapping[str, int], now: float) -> None:
        """Where the senders of each platform stand: they have taken what is below."""
        for platform, offset in offsets.items():
            batches, taken = self._batches.get(platform), 0
            while batches and batches[0][0] <= offset:
                taken += batches.popleft()[1]
            if taken:
                self._targets[platform] -= taken
                self._moved_at[platform] = now
                self._taken.setdefault(platform, deque()).append((now, taken))

    @property
    def waits(self) -> bool:
        """Whether there is something that senders have not taken: their offsets are worth asking for."""
        return any(self._batches.values())

    def holds(self, now: float) -> list[str]:
        """Platforms that hold a walk now: over the bound, and their senders work."""
        return [platform for platform in self._over(now) if now - self._moved_at[platform] < GONE_SECONDS]

    def without_senders(self, now: float) -> list[str]:
        """Platforms over the bound whose senders have not moved for a minute."""
        return [platform for platform in self._over(now) if now - self._moved_at[platform] >= GONE_SECONDS]

    def all_gone(self, now: float) -> bool:
        """Whether every platform that had targets is without senders: then nothing is gained by walking on."""
        return bool(self._targets) and len(self.without_senders(now)) == len(self._targets)

    def _over(self, now: float) -> list[str]:
        return [platform for platform, targets in self._targets.items() if targets > self._bound(platform, now)]

    def _bound(self, platform: str, now: float) -> int:
        """Targets that may be ahead: what the senders take in some seconds, as far as they have shown it."""
        taken = self._taken.get(platform)
        while taken and taken[0][0] < now - RATE_SECONDS:
            taken.popleft()
        rate = sum(count for _, count in taken) / max(1.0, now - taken[0][0]) if taken else 0.0
        return min(self._max_targets, max(LEAST_TARGETS, round(rate * AHEAD_SECONDS)))
