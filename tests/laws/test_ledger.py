"""A send partition that changes hands: every target gets an outcome, and what reaches the provider again was in flight
there, or had an outcome that Kafka had not acknowledged, when its sender died.

Random worlds drive pushcast.handover.ledger; with any one rule switched off a violation must turn up.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pushcast.handover.ledger import Ledger
from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import decode, encode

RECEIPTS, RETRIES = OUTPUTS = ("receipt", "retry")
WORLDS = 2000
MOST_WORLDS_TO_A_VIOLATION = 6000

Target = tuple[int, bytes]


class World:
    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.records = [
            [(offset, b"%d" % target) for target in range(rnd.randint(1, 4))] for offset in range(rnd.randint(2, 8))
        ]
        self.logs: dict[str, list[Target | None]] = {topic: [] for topic in OUTPUTS}  # None: another group's
        self.committed: tuple[int, str] = (0, "")
        self.reached: Counter[Target] = Counter()
        self.excused: Counter[Target] = Counter()

    def ends(self) -> dict[str, int]:
        return {topic: len(log) for topic, log in self.logs.items()}


class Sender:
    def __init__(self, world: World, rules: Rules, read: tuple[str, ...], wait_for_kafka: bool, claim: bool) -> None:
        self.world, self.wait_for_kafka = world, wait_for_kafka
        offset, metadata = world.committed
        self.ledger = Ledger(OUTPUTS, decode(metadata), offset, world.ends(), rules)
        if claim:
            world.committed = (offset, encode(self.ledger.standing(offset)))
        for topic in read:
            for target in world.logs[topic][self.ledger.starts[topic] :]:
                if target is not None:
                    self.ledger.fold(*target)
        self.ledger.start()
        self.next = offset
        self.left: dict[int, int] = {}
        self.in_flight: list[Target] = []
        self.unacknowledged: list[tuple[str, Target]] = []

    def step(self) -> None:
        world = self.world
        dice = world.rnd.random()
        if world.rnd.random() < 0.1:  # others write; now and then this one looks how far
            world.logs[world.rnd.choice(OUTPUTS)].append(None)
            for topic, end in world.ends().items():
                self.ledger.ended(topic, end)
        elif dice < 0.3 and self.next < len(world.records):
            self.begin(self.next)
            self.next += 1
        elif dice < 0.55 and self.in_flight:
            target = self.in_flight.pop(world.rnd.randrange(len(self.in_flight)))
            self.unacknowledged.append((RETRIES if world.rnd.random() < 0.3 else RECEIPTS, target))
            if not self.wait_for_kafka:
                self.left[target[0]] -= 1
        elif dice < 0.8 and self.unacknowledged:
            topic, target = self.unacknowledged.pop(0)
            world.logs[topic].append(target)
            self.ledger.ended(topic, len(world.logs[topic]))
            if self.wait_for_kafka:
                self.left[target[0]] -= 1
        else:
            offset = world.committed[0]
            while self.left.get(offset) == 0:
                offset += 1
            world.committed = (offset, encode(self.ledger.standing(offset)))

    def begin(self, offset: int) -> None:
        self.ledger.note(offset)
        have = self.ledger.take(offset)
        targets = [target for target in self.world.records[offset] if target[1] not in have]
        self.left[offset] = len(targets)
        self.in_flight += targets
        self.world.reached.update(targets)

    def kill(self) -> None:
        unacknowledged = [target for _, target in self.unacknowledged]
        self.world.excused.update(self.in_flight + unacknowledged)
        for topic, target in self.unacknowledged[: self.world.rnd.randint(0, len(unacknowledged))]:
            self.world.logs[topic].append(target)  # some still land


def violation(
    seed: int,
    rules: Rules = ALL,
    read: tuple[str, ...] = OUTPUTS,
    *,
    wait_for_kafka: bool = True,
    claim: bool = True,
) -> str | None:
    """What went wrong in the world of this seed."""
    rnd = random.Random(seed)
    world = World(rnd)
    sender = Sender(world, rules, read, wait_for_kafka, claim)
    for _ in range(rnd.randint(20, 200)):
        if rnd.random() < 0.04:
            sender.kill()
            sender = Sender(world, rules, read, wait_for_kafka, claim)
        else:
            sender.step()
    for _ in range(5000):
        if world.committed[0] == len(world.records):
            break
        sender.step()
    else:
        return "no progress"
    ended = {target for log in world.logs.values() for target in log}
    for record in world.records:
        for target in record:
            if target not in ended:
                return f"{target} has no outcome"
            if world.reached[target] - 1 > world.excused[target]:
                return f"{target} reached the provider {world.reached[target]} times, {world.excused[target]} excused"
    return None


def test_every_target_ends_and_what_is_sent_twice_is_excused() -> None:
    for seed in range(WORLDS):
        assert violation(seed) is None, f"seed {seed}"


@pytest.mark.parametrize("rule", ["tail", "note", "inherit"])
def test_without_the_rule_targets_are_sent_again(rule: str) -> None:
    rules = Rules(**{rule: False})
    assert any(violation(seed, rules) for seed in range(MOST_WORLDS_TO_A_VIOLATION)), rule


def test_a_retry_that_is_no_outcome_sends_again() -> None:
    assert any(violation(seed, read=(RECEIPTS,)) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_a_record_that_is_done_before_kafka_has_its_outcomes_loses_some() -> None:
    assert any(violation(seed, wait_for_kafka=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))


def test_a_first_sender_that_commits_no_positions_leaves_none_to_read_from() -> None:
    assert any(violation(seed, claim=False) for seed in range(MOST_WORLDS_TO_A_VIOLATION))
