"""Several senders with breakers of their own and one common word: whatever they see and in whatever order they hear of
each other, once the provider works for all of them, all close, and so does the common word.
"""

from __future__ import annotations

from random import Random
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Platform
from pushcast.send.breaker import Limits, State
from pushcast.send.figures import Figures
from pushcast.send.isolation import Breakers
from pushcast.send.tally import Tally
from pushcast.wire import topics
from pushcast.wire.control_state import ControlState

APNS = Platform.APNS
LIMITS = Limits(least_answers=10, least_tokens=10, open_seconds=1.0, max_open_seconds=8.0, sustained_seconds=0.5)

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
        bad = self.random.choice([Tally(failed=left), Tally(refused=left, refusal="expired_key"), Tally(invalid=left)])
        self.breakers.note("news", APNS, Tally(sound=left) if works else bad, probes=probing)


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
        assert sender.breaker.state is State.CLOSED
        assert not sender.control.held("news", APNS, Lane.URGENT)
    opened = [sender.control.breaker("news", APNS) for sender in senders]
    assert len(set(map(repr, opened))) == 1, "they read different things from one topic"
    assert len(log) <= 2 * (120 + 40 * len(senders)), "they talk more than they see"
