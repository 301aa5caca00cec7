"""Several senders with breakers of their own and one common word: whatever they see and in whatever order they hear of
each other, once the provider works for all of them, all close, and so does the common word.
"""

from __future__ import annotations

from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Platform
from pushcast.providers.breadth import WantedBreadth, Witness
from pushcast.send.abnormal import Limits
from pushcast.send.breaker import Breaker, BreakerState, Turn
from pushcast.send.figures import Figures
from pushcast.send.isolation import Breakers
from pushcast.send.tally import Tally
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlState

APNS = Platform.APNS
LIMITS = Limits(least_answers=10, least_tokens=10, open_seconds=1.0, max_open_seconds=8.0, sustained_seconds=0.5)
#: Of which failures are, and which of a tally's witnesses are theirs.
KINDS = {"failed": "failing", "invalid": "dead", "doubted": "doubting", "refused": "refusing"}

Log = list[tuple[bytes | None, bytes | None]]


class Outbox:
    """The control topic, as its writers see it."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def barrier(self) -> None:
        return None

    def put(self, _: None, topic: str, partition: int, value: bytes, key: bytes) -> None:
        assert (topic, partition) == (topics.CONTROL, 0)
        self.log.append((key, value))


class Sender:
    def __init__(self, name: str, log: Log, clock: ManualClock, random: Random) -> None:
        self.log = log
        self.clock = clock
        self.random = random
        self.control = ControlState()
        self.read = 0
        self.hear(len(log))
        self.control.live = True
        self.breakers = Breakers(
            control=self.control,
            outbox=cast(Any, Outbox(log)),
            clock=clock,
            figures=Figures(),
            limits=LIMITS,
            random=random,
            name=name,
        )
        self.breaker = self.breakers.of("news", APNS)

    def hear(self, records: int) -> None:
        """The next records of the topic."""
        for key, value in self.log[self.read : self.read + records]:
            self.control.apply(key, value)
        self.read = min(len(self.log), self.read + records)

    def traffic(self, works: bool, targets: int) -> None:
        """Some targets come: they leave, or some of them as probes; and they are answered."""
        probing = not self.breaker.closed
        left = self.breaker.probes(targets, self.clock.monotonic_seconds()) if probing else targets
        if not left:
            return
        kind = self.random.choice(list(KINDS))
        bad = bad_answers(kind, [Witness(b"%d" % n, f"u{n}", self.random.random()) for n in range(left)])
        self.breakers.note("news", APNS, Tally(sound=left) if works else bad, probes=probing)


def bad_answers(kind: str, witnesses: list[Witness]) -> Tally:
    reasons = {"refusal": "expired_key"} if kind == "refused" else {"doubt": "project_unknown"}
    return Tally(**{kind: len(witnesses), KINDS[kind]: witnesses}, **reasons)  # type: ignore[arg-type]  # a shorthand


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32))
def test_once_the_provider_works_for_all_every_breaker_closes_and_so_does_the_common_word(seed: int) -> None:
    random = Random(seed)
    log: Log = []
    clock = ManualClock()
    senders = [Sender(f"s{number}", log, clock, random) for number in range(random.randint(1, 4))]
    works = [random.random() < 0.5 for _ in senders]
    for step in range(random.randint(10, 120)):
        number = random.randrange(len(senders))
        what = random.random()
        if what < 0.5:
            senders[number].traffic(works[number], random.choice([1, 5, 40]))
        elif what < 0.7:
            senders[number].hear(random.randint(1, 3))
        elif what < 0.9:
            clock.advance(random.choice([0.1, 0.7, 3.0]))
        elif what < 0.95:
            works = [random.random() < 0.5 for _ in senders]
        else:  # killed, and another in its place that has read the topic whole
            senders[number] = Sender(f"s{number}/{step}", log, clock, random)
    for _ in range(40):
        clock.advance(2.0)
        for sender in senders:
            sender.hear(len(log))
            sender.traffic(True, 40)
    for sender in senders:
        sender.hear(len(log))
        assert sender.breaker.state is BreakerState.CLOSED
        assert not sender.control.held("news", APNS, Lane.URGENT)
    opened = [sender.control.breaker("news", APNS) for sender in senders]
    assert len(set(map(repr, opened))) == 1, "they read different things from one topic"
    assert len(log) <= 2 * (120 + 40 * len(senders)), "they talk more than they see"


#: What somebody small has, and the rule that keeps him from opening an app's breaker.
SMALL: list[tuple[dict[str, int], WantedBreadth]] = [
    ({"users": 9}, WantedBreadth(users=1)),
    ({"sites": 2}, WantedBreadth(sites=1)),
]
#: The same of kinds in which the number of tokens and records counts too.
SMALL_OF_TOKENS: list[tuple[dict[str, int], WantedBreadth]] = [
    *SMALL,
    ({"tokens": 19}, WantedBreadth(tokens=1)),
    ({"records": 2}, WantedBreadth(records=1)),
]
CASES = [
    *[(kind, has, off) for kind in ("invalid", "doubted") for has, off in SMALL_OF_TOKENS],
    *[("failed", has, off) for has, off in SMALL],
]


@pytest.mark.parametrize(("kind", "has", "off"), CASES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_somebody_small_can_cause_opens_nothing(
    kind: str, has: dict[str, int], off: WantedBreadth, seed: int
) -> None:
    assert not opens(kind, has, WantedBreadth(), Random(seed))


@pytest.mark.parametrize(("kind", "has", "off"), CASES)
def test_without_that_rule_he_would_open_it(kind: str, has: dict[str, int], off: WantedBreadth) -> None:
    assert any(opens(kind, has, off, Random(seed)) for seed in range(20))


def opens(kind: str, has: dict[str, int], wanted: WantedBreadth, random: Random) -> bool:
    """Whether a few minutes of nothing but his bad answers open a breaker."""
    breaker = Breaker(Limits(wanted=wanted), random)
    now = 1000.0
    sites = has.get("sites", random.choice([0, 3, 9]))
    for _ in range(random.randint(30, 60)):
        numbers = [random.randrange(10**6) for _ in range(random.choice([1, 20, 60]))]
        witnesses = [
            Witness(
                b"%d" % (n % has.get("tokens", 10**6)),
                f"u{n % has.get('users', 10**6)}",
                n % has.get("records", 10**6),
                f"site{n % sites}" if sites else "",
            )
            for n in numbers
        ]
        if breaker.note(bad_answers(kind, witnesses), now, 0) is Turn.OPENED:
            return True
        now += random.choice([0.1, 1.0, 5.0])
    return False


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_a_breaker_that_only_one_user_has_work_for_ends_in_time_whatever_he_is_answered(seed: int) -> None:
    random = Random(seed)
    breaker = Breaker(LIMITS, random)
    breaker.note(bad_answers("refused", [Witness(b"t", "u", 1)]), 0.0, 0)
    now = 0.0
    while not breaker.closed:
        now += random.choice([0.5, 2.0])
        if breaker.probes(1, now):
            kind = random.choice(["failed", "refused", "doubted"])
            breaker.note_probes(bad_answers(kind, [Witness(b"t", "anna", now, again=True)]), now)
        assert now <= LIMITS.max_open_seconds + 3 * 2.0, "his own refused work kept it open"
