"""Of all processes with one static id exactly one goes on, the oldest that lives, whatever the order of things.

A world of processes that join, lose the id to whoever joined last, tell where they are, look, and end or join again.
Before them others had the id and were killed. Clocks differ, so the oldest is the one that calls itself so.
"""

from __future__ import annotations

import random

import pytest

from pushcast.wire.control.where import Where, older_owner

WORLDS = 500


class World:
    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.log: list[Where] = []
        self.living: list[Where] = []
        self.member: Where | None = None  # who has the id
        self.waiting: list[Where] = []  # who lost it and has not looked yet
        self.started = 0

    def start(self) -> None:
        self.started += 1
        process = Where(f"i{self.started}", f"h{self.started}", 1, 1_000 + self.rnd.randint(-50, 50))
        self.living.append(process)
        self.join(process)
        self.tell(process)

    def join(self, process: Where) -> None:
        if self.member is not None and self.member in self.living and self.member != process:
            self.waiting.append(self.member)
        self.member = process

    def tell(self, process: Where) -> None:
        self.log.append(process)

    def look(self) -> None:
        """One that lost the id tells, looks, and ends or takes it again."""
        process = self.waiting.pop(self.rnd.randrange(len(self.waiting)))
        if process not in self.living:
            return
        self.tell(process)
        if older_owner(process, self.log) is not None:
            self.living.remove(process)
        else:
            self.join(process)

    def time_out(self) -> None:
        """Kafka was away for a session timeout."""
        if self.member is not None:
            self.waiting.append(self.member)
            self.member = None

    def kill(self) -> None:
        """The only one, as a supervisor would before it starts the next."""
        self.living.clear()
        self.member = None


def survivors(seed: int) -> tuple[list[Where], list[Where]]:
    """Who lives when all is quiet, and who has ever had a chance to."""
    rnd = random.Random(seed)
    world = World(rnd)
    for _ in range(rnd.randint(0, 3)):
        world.start()
        world.tell(world.living[0])
        world.kill()
    begun: list[Where] = []
    for _ in range(rnd.randint(1, 4)):
        world.start()
        begun.append(world.log[-1])
        for _ in range(rnd.randint(0, 4)):
            if world.waiting and rnd.random() < 0.6:
                world.look()
            elif rnd.random() < 0.2:
                world.time_out()
            else:
                world.tell(rnd.choice(world.living))
    for _ in range(200):
        if world.waiting:
            world.look()
        for process in world.living:
            if rnd.random() < 0.3:
                world.tell(process)
    return world.living, begun


def test_exactly_one_goes_on_and_it_is_the_oldest() -> None:
    for seed in range(WORLDS):
        living, begun = survivors(seed)
        assert living == [min(begun, key=lambda each: each.age)], f"seed {seed}"


def test_if_the_dead_counted_as_alive_nobody_would_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(mine: Where, log: list[Where]) -> Where | None:
        return next((each for each in log if each.age < mine.age), None)

    monkeypatch.setitem(globals(), "older_owner", older)
    assert any(not survivors(seed)[0] for seed in range(WORLDS))


def test_if_the_older_ended_too_nobody_would_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(mine: Where, log: list[Where]) -> Where | None:
        return next((each for each in log if each.instance != mine.instance), None)

    monkeypatch.setitem(globals(), "older_owner", other)
    assert any(not survivors(seed)[0] for seed in range(WORLDS))
