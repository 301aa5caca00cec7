"""How fast notifications leave: rates a minute of all users together, shared by the partitions. Pure.

A rate is a sender's wish. What a provider takes is another matter, and stays with the senders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

MAX_PER_MINUTE: Final = 100_000_000
MINUTE_MS: Final = 60_000
_SECOND_MS: Final = 1_000


class Rated(Protocol):
    """`wire.control.control.Rate`, `config.settings.Campaign`."""

    @property
    def per_minute(self) -> int: ...


class Rates:
    """The rates that there are, and whose a notification keeps to: its campaign's before its class's, and that before
    its app's."""

    def __init__(
        self,
        campaigns: Mapping[str, Rated],
        classes: Mapping[str, int],
        live: Mapping[str, Rated] | None = None,
        apps: Mapping[str, int] | None = None,
    ) -> None:
        """`live`: of campaigns, by the control topic; they count before `campaigns`, which the configuration has."""
        self._campaigns = campaigns
        self._classes = classes
        self._apps: Mapping[str, int] = {} if apps is None else apps
        self._live: Mapping[str, Rated] = {} if live is None else live

    def __bool__(self) -> bool:
        """Whether anything has a rate now."""
        return bool(self._campaigns or self._classes or self._apps or self._live)

    @property
    def classes(self) -> frozenset[str]:
        """Those that have a rate."""
        return frozenset(self._classes)

    @property
    def apps(self) -> frozenset[str]:
        """Those that have a rate."""
        return frozenset(self._apps)

    def of(self, campaign: str | None, klass: str, app: str | None = None) -> str:
        """The name of the rate that a notification keeps to; empty: it keeps to none. `app` None: all of the user's."""
        if campaign is not None and (campaign in self._live or campaign in self._campaigns):
            return f"campaign/{campaign}"
        if klass in self._classes:
            return f"class/{klass}"
        return f"app/{app}" if app in self._apps else ""

    def per_minute(self, name: str) -> int | None:
        """What a name of `of` stands for now; None: nothing holds it back any more."""
        kind, _, label = name.partition("/")
        if kind == "class":
            return self._classes.get(label)
        if kind == "app":
            return self._apps.get(label)
        rated = self._live.get(label) or self._campaigns.get(label)
        return None if rated is None else rated.per_minute


class Bucket:
    """One partition's share of a rate: exact to one in a minute, with the remainder carried on and a second of burst.

    It is empty at first: whoever takes a partition over begins anew. Times are milliseconds; credit is counted in parts
    of a notification, so that nothing is rounded.
    """

    def __init__(self, partitions: int, now_ms: int) -> None:
        self._cost = MINUTE_MS * partitions  # of one notification, at one credit for each millisecond and 1/minute
        self._credit = 0
        self._at = now_ms

    def allowed(self, per_minute: int, now_ms: int) -> int:
        """How many may go now."""
        self._credit += max(0, now_ms - self._at) * per_minute
        self._at = max(self._at, now_ms)
        self._credit = min(self._credit, max(self._cost, per_minute * _SECOND_MS))
        return self._credit // self._cost

    def take(self, count: int) -> None:
        """So many go, of those that are allowed."""
        self._credit -= count * self._cost

    def wait_ms(self, per_minute: int) -> int:
        """Until the next one may go, from when it was asked last."""
        missing = self._cost - self._credit
        return 0 if missing <= 0 else -(-missing // per_minute)
