"""How many of those that leave one after the other expire before it is their turn. Pure; times are milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from pushcast.model.pacing import MINUTE_MS

#: Of any number of them so many are kept, at most.
MAX_KEPT: Final = 128

T = TypeVar("T")
U = TypeVar("U")


class Lifetime(NamedTuple):
    """What says whether a notification is late. `app` None: it is for all of its user's."""

    app: str | None
    expires_at: int


class EvenSample(Generic[T]):
    """Some of any number of things, evenly apart: each that is kept stands for `apart` of them."""

    def __init__(self) -> None:
        self.kept: list[T] = []
        self.apart = 1
        self.count = 0

    def add(self, item: T) -> None:
        """One more."""
        if self.count % self.apart == 0:
            self.kept.append(item)
            if len(self.kept) > MAX_KEPT:
                self.kept = self.kept[::2]
                self.apart *= 2
        self.count += 1

    def of(self, told: Callable[[T], U]) -> EvenSample[U]:
        """What is told of each that is kept."""
        found = EvenSample[U]()
        found.kept, found.apart, found.count = [told(item) for item in self.kept], self.apart, self.count
        return found


class Drain(Generic[T]):
    """Those that leave at one rate, in their order. `begins_at`: when the first may, less its own share of a minute."""

    def __init__(self, per_minute: float, begins_at: int) -> None:
        self._step_ms = MINUTE_MS / per_minute
        self._leaves: float = begins_at
        self._sample = EvenSample[tuple[T, float]]()

    @property
    def count(self) -> int:
        """How many there are."""
        return self._sample.count

    def add(self, item: T, due_at: int) -> int:
        """When this one leaves at the earliest, if nothing else keeps to the rate."""
        self._leaves = max(self._leaves + self._step_ms, due_at)
        self._sample.add((item, self._leaves))
        return int(self._leaves)

    def late(self, expires_at: Callable[[T], int | None]) -> int:
        """About how many expire before that. `expires_at` None: it is not known."""
        found, sample = 0, self._sample
        for number, (item, leaves) in enumerate(sample.kept):
            until = expires_at(item)
            if until is not None and leaves > until:
                found += min(sample.apart, sample.count - number * sample.apart)
        return found


def late_at_provider(sample: EvenSample[Lifetime | None], app: str, per_minute: float, begins_at: int) -> int:
    """About how many of those that are due at one time expire before a provider has taken those of an app that come
    before them. None in the sample: nothing is known of it."""
    drain = Drain[int](per_minute / sample.apart, begins_at)
    for lifetime in sample.kept:
        if lifetime is not None and lifetime.app in (None, app):
            drain.add(lifetime.expires_at, begins_at)
    return drain.late(lambda expires_at: expires_at) * sample.apart
