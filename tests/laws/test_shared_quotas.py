"""The law of shared quotas: over several gateways a key gets its quota within any 60 seconds, no more and no less.

No less: it is refused only where what it had, and what gateways hold for it, leaves no room. The driver runs the
gateways' own code, with a clock of its own; three rules are switched off in turn, and the law fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.gateway.access import Caller, Door
from pushcast.gateway.keyring import ApiKeyring
from pushcast.gateway.limits import LEASE_SECONDS, WINDOW_SECONDS, QuotaWindow
from pushcast.gateway.problems import Problem
from pushcast.gateway.shared_quotas import SharedQuotas
from pushcast.wire.control.api_keys import ApiKey, KeyLimits
from pushcast.wire.control.quota_leases import LeaseAsk, QuotaGrant

QUOTA: Final = 100
HOME: Final = "0"
CALLER: Final = Caller("k", ApiKey((), (), limits=KeyLimits(10_000, QUOTA)))
#: (seconds since the step before, gateway, notifications)
Step = tuple[float, int, int]
STEPS: Final = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 20.0]), st.integers(0, 2), st.integers(1, 30)), max_size=60
)


class World:
    """Three gateways; the first counts for the key."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.doors = [Door(ApiKeyring(), lambda: self.now) for _ in range(3)]
        self.gates = [
            SharedQuotas(door, str(number), lambda _: (HOME, "url"), self._ask, lambda: self.now, self._later)
            for number, door in enumerate(self.doors)
        ]
        self.waiting: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        self.let_in: list[tuple[float, int]] = []  # when, how many

    async def _ask(self, url: str, ask: LeaseAsk) -> list[QuotaGrant]:
        return self.doors[0].lease(ask)

    def _later(self, seconds: float, run: Callable[[], Awaitable[None]]) -> None:
        self.waiting.append((self.now + seconds, run))

    async def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [each for each in self.waiting if each[0] <= end]:
            first = min(due, key=lambda each: each[0])
            self.waiting.remove(first)
            self.now = max(self.now, first[0])
            await first[1]()
        self.now = end

    def within(self, seconds: float) -> int:
        return sum(count for at, count in self.let_in if at > self.now - seconds)

    def held(self, but: int) -> int:
        """What other gateways than this one hold for the key."""
        mine = [gate._of(CALLER.id).parts["notifications"] for gate in self.gates]
        return sum(part.left(self.now) for number, part in enumerate(mine) if number != but)

    async def ask(self, gateway: int, count: int) -> None:
        held = self.held(gateway)
        try:
            left = await self.gates[gateway].admitted(CALLER, count, self.now)
        except Problem:
            # Seconds are counted whole, and what is used of a lease is told when it is over.
            had = self.within(WINDOW_SECONDS + 1 + LEASE_SECONDS)
            assert had + held + count > QUOTA, "it was refused though there was room"
            return
        self.let_in.append((self.now, count))
        assert self.within(WINDOW_SECONDS) <= QUOTA, "more than the quota"
        assert '"notifications";r=-' not in left["RateLimit"]


def law(steps: list[Step]) -> None:
    async def run() -> None:
        world = World()
        for seconds, gateway, count in steps:
            await world.pass_by(seconds)
            await world.ask(gateway, count)

    asyncio.run(run())


@settings(max_examples=300)
@given(STEPS)
def test_a_key_gets_its_quota_however_its_requests_are_spread(steps: list[Step]) -> None:
    law(steps)


#: Each takes a lease, and the key then asks elsewhere for all that is left.
HELD: Final[list[Step]] = [(0.0, 1, 30), (0.0, 2, 30), *[(0.0, 0, 30)] * 2, (0.0, 0, 10), *[(0.0, 1, 1)] * 5]
#: A lease is used, forgotten, and everything asked for again.
FORGOTTEN: Final[list[Step]] = [(0.0, 1, 30), (0.0, 1, 30), (0.0, 1, 30), (3.0, 1, 30), (3.0, 0, 30), (3.0, 0, 30)]
#: Large leases that nobody uses up; later another gateway needs the room.
IDLE: Final[list[Step]] = [(0.0, 0, 30), (0.0, 0, 30), (0.0, 1, 1), (0.0, 2, 1), (1.5, 0, 30), (1.0, 0, 8)]


@pytest.mark.parametrize("steps", [HELD, FORGOTTEN, IDLE], ids=["held", "forgotten", "idle"])
def test_the_cases_that_the_rules_are_for_keep_the_law(steps: list[Step]) -> None:
    law(steps)


def test_a_lease_that_others_may_take_as_well_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuotaWindow, "_leased_now", lambda *_: 0)
    monkeypatch.setattr("pushcast.gateway.shared_quotas.LEASE_SHARE", 0.3)
    with pytest.raises(AssertionError, match="more than the quota"):
        law([(0.0, 1, 1), *[(0.0, 0, 30)] * 3, (0.0, 0, 9), *[(0.0, 1, 1)] * 29])


def test_a_gateway_that_does_not_tell_what_it_used_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Door.lease

    def untold(self: Door, ask: LeaseAsk) -> list[QuotaGrant]:
        quotas = [msgspec.structs.replace(each, used=0) for each in ask.quotas]
        return lease(self, msgspec.structs.replace(ask, quotas=quotas))

    monkeypatch.setattr(Door, "lease", untold)
    with pytest.raises(AssertionError, match="more than the quota"):
        law(FORGOTTEN)


def test_a_lease_that_is_never_given_back_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    async def kept(*_: Any) -> None:
        """Nothing is told."""

    monkeypatch.setattr(SharedQuotas, "give_back", kept)
    monkeypatch.setattr("pushcast.gateway.shared_quotas.LEASE_SHARE", 0.3)
    with pytest.raises(AssertionError, match="though there was room"):
        law([(0.0, 1, 1), (3.0, 0, 30), (0.0, 0, 30), (0.0, 0, 30)])


def test_a_lease_is_as_short_as_a_revoked_key_is_valid() -> None:
    assert LEASE_SECONDS <= 2.0
