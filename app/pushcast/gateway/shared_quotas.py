"""Quotas that several gateways keep together: one of them counts for a key, and the others lease parts of its quota.

A lease is 2 % of the quota, or what one request needs, for a second. As long as the gateway that counts answers, a key
gets no more than its quota, however its requests are spread. When it does not, each allows the whole quota by itself,
and counts what it let in so (`pushcast_gateway_unshared_requests_total`): a gateway too few must refuse nobody.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pushcast.gateway.access import Caller, Door, exceeded, quotas_of, told
from pushcast.gateway.limits import LEASE_SECONDS, MAX_CLIENTS, QuotaStanding
from pushcast.gateway.problems import Problem
from pushcast.wire.control.quota_leases import NOTIFICATIONS, REQUESTS, LeaseAsk, QuotaAsk, QuotaGrant

logger = logging.getLogger(__name__)

#: Of the quota.
LEASE_SHARE: Final = 0.02

#: (instance, url) of the gateway that counts for a key; None: there is none.
HomeOf = Callable[[str], tuple[str, str] | None]
#: Runs this after so many seconds.
Later = Callable[[float, Callable[[], Awaitable[None]]], None]
#: Asks the gateway at this url. Raises OSError when it does not answer.
AskHome = Callable[[str, LeaseAsk], Awaitable[list[QuotaGrant]]]


_NOTHING: Final = QuotaStanding(0, 0, 0)


@dataclass(slots=True)
class _Part:
    """What this gateway has of one quota of one key."""

    granted: int = 0
    used: int = 0  # of what is granted
    untold: int = 0  # used, and the gateway that counts does not know it
    until: float = 0.0
    home: QuotaStanding = _NOTHING  # what is left beside it, as was told

    def left(self, now: float) -> int:
        return self.granted - self.used if now < self.until else 0

    def standing(self, quota: int, now: float) -> QuotaStanding:
        return QuotaStanding(quota, self.home.remaining + self.left(now), self.home.reset_seconds)

    def take(self, amount: int) -> None:
        self.used += amount
        self.untold += amount


def _parts() -> dict[str, _Part]:
    return {REQUESTS: _Part(), NOTIFICATIONS: _Part()}


@dataclass(slots=True)
class _KeyParts:
    """Of one key. Whoever asks for it holds `turn`."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    parts: dict[str, _Part] = field(default_factory=_parts)
    home: tuple[str, str] | None = None  # as of `looked_at`
    looked_at: float = -math.inf
    silent_until: float = 0.0


class SharedQuotas:
    """Lets callers in as `Door` does, by what all gateways have let in."""

    def __init__(
        self, door: Door, instance: str, home_of: HomeOf, ask: AskHome, now: Callable[[], float], later: Later
    ) -> None:
        """`instance`: of this gateway, as `home_of` names it. `now`: the clock of what requests tell. `later`: runs
        something when a lease is over."""
        self._door = door
        self._instance = instance
        self._home_of = home_of
        self._ask = ask
        self._now = now
        self._later = later
        self._keys: OrderedDict[str, _KeyParts] = OrderedDict()
        self.unshared = 0  # requests that were let in without the gateway that counts

    def at_once(self, caller: Caller, notifications: int, now: float, requests: int = 1) -> bool:
        """Whether `admit` can say at once whether there is room."""
        mine = self._of(caller.id)
        if self._home(caller.id, mine, now) is None:
            return True
        return all(
            mine.parts[name].left(now) >= amount for name, amount, _ in quotas_of(caller, notifications, requests)
        )

    def admit(self, caller: Caller, notifications: int, now: float, requests: int = 1) -> dict[str, str]:
        """Counts a request with so many notifications; returns the headers that tell what is left. Ask `at_once` first.

        Raises Problem (quota_exceeded); nothing is counted then.
        """
        mine = self._of(caller.id)
        if self._home(caller.id, mine, now) is None:
            self.unshared += now < mine.silent_until
            return self._door.admit(caller, notifications, now, requests)
        asked = quotas_of(caller, notifications, requests)
        left = told([(name, amount, mine.parts[name].standing(quota, now)) for name, amount, quota in asked])
        for name, amount, _ in asked:
            mine.parts[name].take(amount)
        return left

    async def admitted(self, caller: Caller, notifications: int, now: float, requests: int = 1) -> dict[str, str]:
        """As `admit`, and asks for a lease where there is none. Raises Problem (quota_exceeded)."""
        if self.at_once(caller, notifications, now, requests):
            return self.admit(caller, notifications, now, requests)
        mine = self._of(caller.id)
        async with mine.turn:
            if not self.at_once(caller, notifications, self._now(), requests):
                await self._renew(caller, notifications, mine)
            now = self._now()
            if self.at_once(caller, notifications, now, requests):
                return self.admit(caller, notifications, now, requests)
        raise self._refused(caller, notifications, mine, now)

    def _refused(self, caller: Caller, notifications: int, mine: _KeyParts, now: float) -> Problem:
        asked = quotas_of(caller, notifications)
        short = [each for each in asked if mine.parts[each[0]].left(now) < each[1]]
        name, _, quota = (short or asked)[0]
        self._door.limited[name] += 1
        return exceeded(name, mine.parts[name].standing(quota, now))

    async def _renew(self, caller: Caller, notifications: int, mine: _KeyParts) -> None:
        asked_at = self._now()
        home = self._home(caller.id, mine, asked_at)
        if home is None:
            return
        asks = [
            QuotaAsk(name, quota, mine.parts[name].untold, max(amount, int(quota * LEASE_SHARE), 1))
            for name, amount, quota in quotas_of(caller, notifications)
        ]
        try:
            await self._exchange(home[1], caller.id, mine, asks, asked_at + LEASE_SECONDS)
        except OSError as error:
            mine.silent_until = self._now() + LEASE_SECONDS
            logger.warning("the gateway that counts for a key does not answer; its quotas count here: %s", error)
            return
        self._later(LEASE_SECONDS, partial(self.give_back, caller, mine))

    async def give_back(self, caller: Caller, mine: _KeyParts) -> None:
        """Tells what was used of a lease that nobody has renewed: the rest of it is for others."""
        async with mine.turn:
            now = self._now()
            home = self._home(caller.id, mine, now)
            if home is None or any(now < part.until for part in mine.parts.values()):
                return
            asks = [QuotaAsk(name, quota, mine.parts[name].untold, 0) for name, _, quota in quotas_of(caller, 1)]
            with suppress(OSError):  # it counts as used after a while
                await self._exchange(home[1], caller.id, mine, asks, 0.0)

    async def _exchange(self, url: str, key_id: str, mine: _KeyParts, asks: list[QuotaAsk], until: float) -> None:
        for ask in asks:
            mine.parts[ask.policy].until = 0.0  # nothing more is taken of it: what was used is told now
        grants = await self._ask(url, LeaseAsk(self._instance, key_id, asks))
        for ask, grant in zip(asks, grants, strict=True):
            part = mine.parts[ask.policy]
            part.untold -= ask.used
            part.granted, part.used, part.until = grant.granted, 0, until
            part.home = QuotaStanding(ask.quota, grant.remaining, grant.reset_seconds)

    def _of(self, key_id: str) -> _KeyParts:
        found = self._keys.get(key_id)
        if found is None:
            found = self._keys[key_id] = _KeyParts()
            if len(self._keys) > MAX_CLIENTS:
                self._keys.popitem(last=False)
        return found

    def _home(self, key_id: str, mine: _KeyParts, now: float) -> tuple[str, str] | None:
        """Of a key whose quotas another gateway counts, and answers for."""
        if now - mine.looked_at >= LEASE_SECONDS:
            found = self._home_of(key_id)
            mine.home = None if found is None or found[0] == self._instance else found
            mine.looked_at = now
        return None if now < mine.silent_until else mine.home
