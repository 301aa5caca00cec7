"""How much a client may ask for within a minute. Pure: time is passed in."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 60
#: Clients that are remembered; the one that asked longest ago is forgotten first.
MAX_CLIENTS: Final = 10_000


class QuotaStanding(NamedTuple):
    """Where a client stands. `remaining`: what it may still ask for. `reset_seconds`: until some is free again."""

    quota: int
    remaining: int
    reset_seconds: int


class QuotaWindow:
    """What one client asked for in the last 60 seconds, counted by the second: never more than the quota passes within
    any 60 seconds."""

    __slots__ = ("_asked", "_sum", "quota")

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self._asked: deque[tuple[int, int]] = deque()  # second, how much
        self._sum = 0

    def standing(self, now_seconds: float) -> QuotaStanding:
        """Without asking for anything."""
        now = int(now_seconds)
        asked = self._asked
        while asked and asked[0][0] <= now - WINDOW_SECONDS:
            self._sum -= asked.popleft()[1]
        reset = math.ceil(asked[0][0] + WINDOW_SECONDS - now_seconds) if asked else 0
        return QuotaStanding(self.quota, max(0, self.quota - self._sum), reset)

    def take(self, amount: int, now_seconds: float) -> None:
        """Counts `amount`; ask `standing` first whether it is free."""
        now = int(now_seconds)
        asked = self._asked
        if asked and asked[-1][0] == now:
            asked[-1] = now, asked[-1][1] + amount
        else:
            asked.append((now, amount))
        self._sum += amount


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
