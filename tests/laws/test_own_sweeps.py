"""The law of one owner per token, where users are forgotten, have a cap of devices, and sweeps come by at any moment:
`test_own.py` without those. At rest a token is of the device that was registered with it last, if that registration
still stands and is not stale. Users with a cap hold no more devices than that, and no token of others.

A world has two eras, a month or most of a year apart, and no event is late by more than one of them. So in the second,
sweeps end markers and marks of the first; after most of a year devices are stale, too.

Histories that show why each rule of the sweeps is there go wrong with that rule off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.test_own import HOMES, SWEEP_RULES, USERS, World
from pushcast.model.ids import is_user_row, partition_of, token_hash
from pushcast.own import agent as own_agent
from pushcast.own import vacancies
from pushcast.own.agent import OwnStage
from pushcast.own.token_marks import TokenMarks
from pushcast.register import rows, sweep
from pushcast.stream.overlay import InFlight, Overlay
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.topics import DEVICE_CHANGED
from unit.register.twin import PARTITIONS, T0, record

DAY_MS = 86_400_000
MONTH_MS, YEAR_MS = 31 * DAY_MS, 301 * DAY_MS
#: The last two in one partition: a claim of one lets marks of the other come of age.
TOKENS = {"t1": "aa" * 32, "t2": "bb" * 32, "t3": "02" * 32}
assert {partition_of(token_hash(each.encode()), PARTITIONS) for each in TOKENS.values()} == set(HOMES)
A, B, C = USERS.values()


class Event(NamedTuple):
    """`at`: milliseconds since T0. `device` None: the user is forgotten; `token` None: the device is unregistered."""

    user: str
    at: int
    token: str | None
    device: str | None = "d"

    def ends(self, other: Event) -> bool:
        """Whether what the other one said of its device is over by this one."""
        return self.user == other.user and self.at >= other.at and self.device in (None, other.device)


class Ages(World):
    """Two eras of one world."""

    def __init__(self, seed: int, max_per_user: int | None = None) -> None:
        super().__init__(seed, max_per_user)
        # Few, so that they are in each other's way.
        self.users = self.rnd.sample(list(USERS.values()), 2)
        self.tokens = self.rnd.choice((["t1"], ["t2", "t3"]))
        self.between = self.rnd.choice((MONTH_MS, YEAR_MS))
        self.history: list[Event] = []

    def era(self, since: int) -> list[Event]:
        """Events of an era as they arrive: of half of the users in order, of the others late."""
        rnd = self.rnd
        events = [self._happened(since + at) for at in sorted(rnd.sample(range(100), rnd.randint(2, 7)))]
        self.history += events
        queues = {user: [event for event in events if event.user == user] for user in self.users}
        for queue in queues.values():
            if rnd.random() < 0.5:
                rnd.shuffle(queue)
        arriving = []
        while any(queues.values()):
            arriving.append(rnd.choice([queue for queue in queues.values() if queue]).pop(0))
        return arriving

    def _happened(self, at: int) -> Event:
        user, dice = self.rnd.choice(self.users), self.rnd.random()
        if dice < 0.08:
            return Event(user, at, None, None)
        token = None if dice < 0.35 else self.rnd.choice(self.tokens)
        return Event(user, at, token, "e" if self.rnd.random() < 0.2 else "d")

    def arrive(self, event: Event) -> None:
        """It reaches Kafka."""
        body: dict[str, Any] = {"op": "forget_user", "at": T0 - 100 + event.at}
        if event.device is not None:
            body |= {"op": "register" if event.token else "unregister", "app": "news", "device": event.device}
        if event.token is not None:
            body |= {"platform": "apns", "token": TOKENS[event.token]}
        key = event.user.encode()
        home, value = partition_of(key, PARTITIONS), orjson.dumps(body)
        self.registrar.kafka.append(record(DEVICE_CHANGED, home, 0, key, value, timestamp=self.clock.now_ms()))

    async def sweep(self, process: Any) -> None:
        """Of all its partitions."""
        sweeping = process.stage._sweeping if process is self.registrar else process.stage._vacancies
        for tenure in list(process.stage._tenures):
            for _ in range(2):  # REGISTER counts, and then removes
                await sweeping._step(tenure)

    async def sweep_all(self) -> None:
        """Twice: the first may go on with one that was under way. Ends at rest."""
        for process in (self.registrar, self.owner) * 2:
            await self.sweep(process)
        await self.come_to_rest()

    async def pass_over(self, ms: int) -> None:
        """Nothing is on its way over so long a time, and what is done is committed."""
        await self.come_to_rest()
        for process, tp in self.places():
            self.committed[tp] = process.trackers[tp].low
        self.clock.advance(ms / 1000)

    async def run(self) -> None:
        await self.start_registrar()
        await self.start_owner()
        await self._go_through(self.era(0))
        await self.pass_over(self.between)
        await self._go_through(self.era(self.between))
        await self.come_to_rest()
        await self.sweep_all()

    async def _go_through(self, to_come: list[Event]) -> None:
        rnd = self.rnd
        for _ in range(rnd.randint(20, 90)):
            dice = rnd.random()
            if dice < 0.15 and to_come:
                self.arrive(to_come.pop(0))
            elif dice < 0.2:
                await self.kill(rnd.choice([self.registrar, self.owner]))
            elif dice < 0.5:
                self.deliver(*rnd.choice(self.places()))
            elif dice < 0.55 and self.former:
                self.land(rnd.choice(self.former))
            elif dice < 0.75:
                self.land(rnd.choice([self.registrar.kafka, self.owner.kafka]))
            elif dice < 0.85:
                await self.sweep(rnd.choice([self.registrar, self.owner]))
            else:
                self.tail()
            await self.look()
        for event in to_come:
            self.arrive(event)

    def held(self) -> dict[str, set[str]]:
        """Devices by token, as `user/device`."""
        found: dict[str, set[str]] = {token: set() for token in TOKENS}
        names = {address: token for token, address in TOKENS.items()}
        for partition, user in USERS.items():
            for key, value in self.registrar.kafka.compacted(partition).items():
                row = None if is_user_row(key) else decode_row(value)
                if row is not None and not row.is_gone:
                    found[names[row.address.decode()]].add(f"{user}/{row.device}")
        return found

    def newest(self, token: str) -> Event | None:
        """The last registration with it."""
        registrations = [event for event in self.history if event.token == token]
        return max(registrations, key=lambda event: event.at, default=None)

    def expected(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {token: set() for token in TOKENS}
        now = self.clock.now_ms() - T0
        for token, owners in found.items():
            newest = self.newest(token)
            if newest is None or now - newest.at > SWEEP_RULES.stale_ms["default"]:
                continue
            if not any(event.ends(newest) for event in self.history if event is not newest):
                owners.add(f"{newest.user}/{newest.device}")
        return found


def finished(seed: int, max_per_user: int | None = None) -> Ages:
    async def run() -> Ages:
        world = Ages(seed, max_per_user)
        await world.run()
        assert not world.registrar.failures + world.owner.failures
        return world

    return asyncio.run(run())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_forgotten_users_and_sweeps_leave_a_token_with_its_newest_registration(seed: int) -> None:
    world = finished(seed)
    assert world.held() == world.expected(), world.history


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_with_a_cap_nobody_holds_more_devices_and_a_token_is_held_by_its_newest_registration_or_nobody(
    seed: int,
) -> None:
    """Which devices make room depends on what had moved by then, so here the law says who holds nothing."""
    world = finished(seed, max_per_user=1)
    devices = [device for holders in world.held().values() for device in holders]
    assert all(sum(device.startswith(f"{user}/") for device in devices) <= 1 for user in USERS.values())
    for token, holders in world.held().items():
        newest = world.newest(token)
        assert holders <= (set() if newest is None else {f"{newest.user}/{newest.device}"})


def forgotten_users_leave_nothing(patch: pytest.MonkeyPatch) -> None:
    """When a user was forgotten is not noted."""
    patch.setattr(rows, "forgotten", lambda *_: None)


def markers_end_at_once(patch: pytest.MonkeyPatch) -> None:
    """A sweep ends the marker of a removed device as soon as it is there."""
    patch.setattr(sweep, "MARKER_MS", -1)


def vacant_marks_end_at_once(patch: pytest.MonkeyPatch) -> None:
    """A sweep ends the mark of a vacant token as soon as it is there."""
    for module in (vacancies, own_agent):
        patch.setattr(module, "is_over", lambda mark, before: not mark.live)


def marks_end_by_age_alone(patch: pytest.MonkeyPatch) -> None:
    """A sweep ends old marks, also of tokens that somebody has."""
    for module in (vacancies, own_agent):
        patch.setattr(module, "is_over", lambda mark, before: mark.changed_at < before)


def sweeps_do_not_look_again(patch: pytest.MonkeyPatch) -> None:
    """A sweep ends a mark by what the table says, whatever of it is in flight."""

    def known(self: TokenMarks, tenure: Any, keys: Iterable[bytes]) -> dict[bytes, Any]:
        overlay, tenure.overlay = tenure.overlay, Overlay(InFlight())
        try:
            return look(self, tenure, keys)
        finally:
            tenure.overlay = overlay

    def end(self: OwnStage, tenure: Any, keys: Sequence[bytes]) -> None:
        patch.setattr(TokenMarks, "known", known)
        original(self, tenure, keys)
        patch.setattr(TokenMarks, "known", look)

    look, original = TokenMarks.known, OwnStage._end_marks
    patch.setattr(OwnStage, "_end_marks", end)


async def happen(world: Ages, *events: Event) -> None:
    """One after the other, each until nothing is on its way."""
    for event in events:
        world.history.append(event)
        world.arrive(event)
        await world.come_to_rest()


async def late_after_a_forgetting(world: Ages) -> None:
    await happen(world, Event(A, 10, None, None), Event(A, 5, "t2"))


async def late_after_an_unregistration(world: Ages) -> None:
    await happen(world, Event(A, 10, None))
    await world.sweep_all()
    await happen(world, Event(A, 5, "t2"))


async def late_for_a_token_that_was_vacated(world: Ages) -> None:
    await happen(world, Event(A, 8, "t2"), Event(A, 10, None))
    await world.sweep_all()
    await happen(world, Event(B, 7, "t2"))


async def long_held_before_it_moves(world: Ages) -> None:
    await happen(world, Event(A, 8, "t2"))
    await world.pass_over(MONTH_MS)
    await happen(world, Event(C, MONTH_MS + 1, "t3"))
    await world.sweep_all()
    await happen(world, Event(B, MONTH_MS + 2, "t2"))


async def claimed_while_a_sweep_comes_by(world: Ages) -> None:
    await happen(world, Event(A, 8, "t2"), Event(A, 10, None))
    await world.pass_over(MONTH_MS)
    await happen(world, Event(C, MONTH_MS + 1, "t3"))
    untailed = world.tail_all
    world.tail_all = lambda: None  # type: ignore[method-assign]
    await happen(world, Event(A, MONTH_MS + 2, "t2"))
    await world.sweep(world.owner)
    world.tail_all = untailed  # type: ignore[method-assign]
    await world.come_to_rest()
    await happen(world, Event(B, MONTH_MS + 3, "t2"))


History = Callable[[Ages], Awaitable[None]]
HISTORIES: dict[History, Callable[[pytest.MonkeyPatch], None]] = {
    late_after_a_forgetting: forgotten_users_leave_nothing,
    late_after_an_unregistration: markers_end_at_once,
    late_for_a_token_that_was_vacated: vacant_marks_end_at_once,
    long_held_before_it_moves: marks_end_by_age_alone,
    claimed_while_a_sweep_comes_by: sweeps_do_not_look_again,
}


@pytest.mark.parametrize("history", HISTORIES)
async def test_each_rule_of_the_sweeps_decides_a_history(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(world: Ages) -> bool:
        return world.held() == world.expected()

    async def world() -> Ages:
        made = Ages(0)
        await made.start_registrar()
        await made.start_owner()
        await history(made)
        return made

    assert ended(await world())
    HISTORIES[history](monkeypatch)
    assert not ended(await world())
