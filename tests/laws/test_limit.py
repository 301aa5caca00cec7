"""Law of the adaptive limit, against simulated servers: a queue with a service rate, latency of their own, waves.

Nothing here waits: time is a number. A request is late when its answer takes longer than the deadline.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pushcast.http2.limit import LEAST, START, AdaptiveLimit, FixedLimit, Limit

TIMEOUT_SECONDS = 10.0
MOST = 10_000
TICK_SECONDS = 0.1
STEP_SECONDS = 0.01
ANY_NUMBER = 1e9


@dataclass
class Server:
    """Serves `rate(t)` requests a second in their order, and answers each `latency(t)` seconds later."""

    rate: Callable[[float], float] = lambda _: ANY_NUMBER
    latency: Callable[[float], float] = lambda _: 0.02


@dataclass
class Run:
    """What came of it: answers so far and the limit at each tick."""

    late: int = 0
    longest_seconds: float = 0.0
    values: list[tuple[float, int, int]] = field(default_factory=list)  # time, limit, answers

    def value_at(self, seconds: float) -> int:
        return next(value for at, value, _ in self.values if at >= seconds)

    def answers_between(self, start: float, end: float) -> int:
        counts = [answers for at, _, answers in self.values if start <= at <= end]
        return counts[-1] - counts[0]


def run(limit: Limit, server: Server, seconds: float, demand: float = 50_000.0) -> Run:
    """Work comes at `demand` a second and waits when it must."""
    outcome, queue, served = Run(), deque[float](), list[tuple[float, float]]()
    now = credit = waiting = 0.0
    in_flight = most = answers = ticks = 0
    while now < seconds:
        now += STEP_SECONDS
        waiting += demand * STEP_SECONDS
        leaving = max(0, min(limit.value - in_flight, int(waiting)))
        waiting -= leaving
        in_flight += leaving
        most = max(most, in_flight)
        queue.extend([now] * leaving)
        credit = min(credit + server.rate(now) * STEP_SECONDS, 1.0 + server.rate(now) * STEP_SECONDS)
        while queue and credit >= 1:
            credit -= 1
            heapq.heappush(served, (now + server.latency(now), queue.popleft()))
        taken = []
        while served and served[0][0] <= now:
            taken.append(now - heapq.heappop(served)[1])
        if taken:
            in_flight -= len(taken)
            answers += len(taken)
            outcome.late += sum(each > TIMEOUT_SECONDS for each in taken)
            outcome.longest_seconds = max(outcome.longest_seconds, *taken)
            limit.answered(len(taken), sum(taken))
        if now >= (ticks + 1) * TICK_SECONDS:
            ticks += 1
            limit.look(now, in_flight, most, waiting >= 1, 0.0)
            most = in_flight
            outcome.values.append((now, limit.value, answers))
    return outcome


def adaptive() -> AdaptiveLimit:
    return AdaptiveLimit(MOST, TIMEOUT_SECONDS)


@settings(max_examples=25, deadline=None)
@given(rate=st.integers(20, 5_000), latency_ms=st.integers(1, 300))
@example(rate=128, latency_ms=156)  # a small cut was taken for one that does not help: answers took 6.7 s
@example(rate=137, latency_ms=136)
@example(rate=158, latency_ms=275)
def test_no_answer_of_a_server_that_queues_is_late(rate: int, latency_ms: int) -> None:
    outcome = run(adaptive(), Server(lambda _: rate, lambda _: latency_ms / 1000), 20.0)
    assert outcome.late == 0
    assert outcome.longest_seconds < TIMEOUT_SECONDS / 2
    least = 0.8 * min(rate, START * 1000 / latency_ms) * 10
    assert outcome.answers_between(10.0, 20.0) >= least, "the queue was kept short, not empty"


def test_without_the_rule_a_server_that_queues_answers_late() -> None:
    assert run(FixedLimit(MOST), Server(lambda _: 500), 30.0).late > 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), jitter_ms=st.integers(0, 45))
def test_jitter_round_a_stable_mean_does_not_shrink_the_limit(seed: int, jitter_ms: int) -> None:
    random = Random(seed)
    server = Server(latency=lambda _: (50 + jitter_ms * (2 * random.random() - 1)) / 1000)
    limit = AdaptiveLimit(1_000, TIMEOUT_SECONDS)
    outcome = run(limit, server, 8.0)
    values = [value for at, value, _ in outcome.values if at > 2.0]
    assert set(values) == {1_000}
    assert not limit.slow


@settings(max_examples=10, deadline=None)
@given(slow=st.integers(200, 1_000), seconds=st.integers(2, 15))
@example(slow=200, seconds=10)
def test_the_rate_is_back_within_seconds_after_an_overload(slow: int, seconds: int) -> None:
    end = 5.0 + seconds
    server = Server(lambda now: slow if 5.0 < now < end else 4_000)
    outcome = run(adaptive(), server, end + 6.0)
    assert outcome.late == 0
    assert outcome.answers_between(end + 3.0, end + 5.0) > 0.8 * 2 * 4_000


@settings(max_examples=10, deadline=None)
@given(peak=st.floats(0.5, 8.0), seconds=st.integers(3, 12))
def test_a_wave_below_the_deadline_makes_nothing_late_and_is_over_when_it_is_over(peak: float, seconds: int) -> None:
    end = 5.0 + seconds
    server = Server(latency=lambda now: peak if 5.0 < now < end else 0.05)
    limit = AdaptiveLimit(1_000, TIMEOUT_SECONDS)
    outcome = run(limit, server, end + peak + 5.0)
    assert outcome.late == 0
    assert outcome.value_at(end + peak + 4.0) == 1_000


def test_a_wave_beyond_the_deadline_makes_late_what_was_out_and_little_more() -> None:
    server = Server(latency=lambda now: 12.0 if 5.0 < now < 15.0 else 0.05)
    limit = AdaptiveLimit(1_000, TIMEOUT_SECONDS)
    assert 0 < run(limit, server, 30.0).late <= 1_000 + 10 * LEAST


def test_a_server_that_is_slow_by_itself_is_not_asked_for_less_and_less() -> None:
    limit = AdaptiveLimit(1_000, TIMEOUT_SECONDS)
    outcome = run(limit, Server(latency=lambda _: 4.0), 90.0)
    assert (outcome.late, limit.value) == (0, 1_000)


def test_the_queue_at_a_server_stays_short_for_hours() -> None:
    """Its own queue must not become the minimum that latency is held against."""
    outcome = run(adaptive(), Server(lambda _: 100, lambda _: 0.05), 900.0, demand=1_000.0)
    assert outcome.longest_seconds < 0.25 * TIMEOUT_SECONDS
    assert outcome.values[-1][1] < 100
