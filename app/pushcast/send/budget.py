"""How many deliveries one process may have under way, shared over apps so that a slow one cannot take it all."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Budget:
    """Counts deliveries from the hand-over to a provider until Kafka has acknowledged their outcome.

    One per process; several stages may share it. With more than one key an app gets at most as much as it leaves
    free for the others (dynamic thresholds, Choudhury and Hahne 1998, alpha = 1): a single slow app holds at most a
    half, n slow apps n/(n+1), and whoever holds nothing gets at least one while anything is free. With one key the
    whole capacity is its own. Not thread safe: it belongs to the event loop.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.held = 0
        self._keys: dict[Hashable, int] = {}
        self._registered: set[Hashable] = set()
        self._on_release: list[Callable[[], None]] = []

    def register(self, key: Hashable) -> None:
        """Makes a key known before it asks, so that the first to come does not take the share of the others.

        One that was not registered is known for as long as it holds anything: it takes no share away for ever.
        """
        self._registered.add(key)
        self._keys.setdefault(key, 0)

    def subscribe(self, on_release: Callable[[], None]) -> None:
        """Called after every release, in order of subscription; it may take."""
        self._on_release.append(on_release)

    def unsubscribe(self, on_release: Callable[[], None]) -> None:
        """Ends a subscription. Raises ValueError when there is none."""
        self._on_release.remove(on_release)

    def held_by(self, key: Hashable) -> int:
        """Deliveries of one key under way."""
        return self._keys.get(key, 0)

    def take(self, key: Hashable, wanted: int, least: int = 1) -> int:
        """Takes up to `wanted`, nothing when less than `least` is to be had. Returns how many were taken.

        `least` keeps messages from crumbling; whoever holds nothing gets what there is, so it never waits for ever.
        """
        held = self._keys.get(key, 0)
        free = self.capacity - self.held
        if free <= 0 or wanted <= 0:
            return 0
        alone = len(self._keys) == (key in self._keys)
        room = free if alone else (free - held) // 2
        if not held:
            room = max(room, 1)
            least = 1
        granted = min(wanted, room)
        if granted < min(least, wanted):
            return 0
        self._keys[key] = held + granted
        self.held += granted
        return granted

    def release(self, key: Hashable, count: int) -> None:
        """Gives back. Raises ValueError for more than the key holds: the accounts would be wrong from then on."""
        held = self._keys.get(key, 0)
        if count > held:
            raise ValueError(f"{count} deliveries released, {held} held")
        self._keys[key] = held - count
        if held == count and key not in self._registered:
            del self._keys[key]
        self.held -= count

    def wake(self) -> None:
        """Tells the subscribers that something was released. Apart from `release`, to call it once for many."""
        for on_release in self._on_release:
            on_release()
