"""How much a client may ask for within a minute, here and at the gateways that lease a part of it. Pure: time is
passed in."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 60
#: How long a lease may be used, and when it counts as used although nothing was told of it: its holder is gone then.
LEASE_SECONDS: Final = 1.0
UNTOLD_SECONDS: Final = 5.0
#: Clients that are remembered; the one that asked longest ago is forgotten first.
MAX_CLIENTS: Final = 10_000


class QuotaStanding(NamedTuple):
    """Where a client stands. `remaining`: what it may still ask for. `reset_seconds`: until some is free again."""

    quota: int
    remaining: int
    reset_seconds: int


class QuotaWindow:
    """What one client asked for in the last 60 seconds, counted by the second: never more than the quota passes within
    any 60 seconds. What others have leased is not free."""

    __slots__ = ("_asked", "_leased", "_sum", "quota")

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self._asked: deque[tuple[int, int]] = deque()  # second, how much
        self._sum = 0
        self._leased: dict[str, tuple[int, float]] = {}  # by whom: how much, until when it counts as used

    def standing(self, now_seconds: float) -> QuotaStanding:
        """Without asking for anything."""
        now = int(now_seconds)
        leased = self._leased_now(now_seconds) if self._leased else 0
        asked = self._asked
        # What was asked for at the end of a second is not 60 seconds old when a minute of whole seconds has passed.
        while asked and asked[0][0] < now - WINDOW_SECONDS:
            self._sum -= asked.popleft()[1]
        reset = asked[0][0] + WINDOW_SECONDS + 1 - now if asked else 0
        left = self.quota - self._sum - leased
        return QuotaStanding(self.quota, max(0, left), reset)

    def take(self, amount: int, now_seconds: float) -> None:
        """Counts `amount`; ask `standing` first whether it is free."""
        now = int(now_seconds)
        asked = self._asked
        if asked and asked[-1][0] == now:
            asked[-1] = now, asked[-1][1] + amount
        else:
            asked.append((now, amount))
        self._sum += amount

    def lease(self, whose: str, used: int, wanted: int, now_seconds: float) -> tuple[int, QuotaStanding]:
        """Another gateway tells how much of its last lease it has used, and gets up to `wanted`; with what is left."""
        self._leased.pop(whose, None)
        if used:
            self.take(used, now_seconds)
        granted = min(wanted, self.standing(now_seconds).remaining)
        if granted:
            self._leased[whose] = granted, now_seconds + UNTOLD_SECONDS
        return granted, self.standing(now_seconds)

    def _leased_now(self, now_seconds: float) -> int:
        for whose in [each for each, (_, until) in self._leased.items() if until <= now_seconds]:
            self.take(self._leased.pop(whose)[0], now_seconds)
        return sum(amount for amount, _ in self._leased.values())


class Windows:
    """A window for each client of one kind, for the 10,000 that asked last."""

    def __init__(self, max_clients: int = MAX_CLIENTS) -> None:
        self._windows: OrderedDict[str, QuotaWindow] = OrderedDict()
        self._max_clients = max_clients

    def of(self, client: str, quota: int) -> QuotaWindow:
        """The client's. A quota that has changed counts from now on."""
        window = self._windows.get(client)
        if window is None:
            window = self._windows[client] = QuotaWindow(quota)
            if len(self._windows) > self._max_clients:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(client)
            window.quota = quota
        return window
