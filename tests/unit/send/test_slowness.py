from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from types import SimpleNamespace
from typing import Any, cast

from pushcast.handover.fences import Fences
from pushcast.send.records import Job, SendTenure
from pushcast.send.slowness import Slowness
from pushcast.stream.batch import TP

SLOW_SECONDS = 5.0
SLOW = SimpleNamespace(slow=True)
QUICK = SimpleNamespace(slow=False)


class World:
    def __init__(self, keep: int = 100) -> None:
        self.uncrowded: set[int] = set()
        self.slowness = Slowness(SLOW_SECONDS, keep, lambda tenure: tenure.tp.partition not in self.uncrowded)
        self.tenures = [SendTenure(TP("send", partition), Fences()) for partition in range(10)]
        self.waiting: dict[Hashable, deque[Job]] = {}
        self.now = 1000.0

    def wait(self, key: str, jobs: int, targets: int = 10, partition: int = 0, provider: object = SLOW) -> list[Job]:
        """They come now and wait."""
        record = SimpleNamespace(taken_at=self.now, tenure=self.tenures[partition])
        parcel = cast(Any, SimpleNamespace(record=record, key=key, provider=provider))
        made = [Job(parcel, list(range(targets))) for _ in range(jobs)]
        self.waiting.setdefault(key, deque()).extend(made)
        return made

    def leave(self, key: str, jobs: int) -> None:
        for _ in range(jobs):
            self.slowness.left(key, len(self.waiting[key].popleft().indices))

    def look(self, after: float = 0.5) -> int:
        """Targets that are to be parked."""
        self.now += after
        return sum(len(job.indices) for job in self.slowness.look(self.waiting, self.now))


def test_an_app_of_which_nothing_leaves_for_a_second_is_slow_and_keeps_its_oldest() -> None:
    world = World()
    made = world.wait("news", 50)
    assert [world.look() for _ in range(2)] == [0, 0]
    assert world.look() == 400
    assert list(world.waiting["news"]) == made[:10]


def test_each_partition_keeps_its_own_oldest() -> None:
    world = World()
    for partition in range(3):
        world.wait("news", 20, partition=partition)
    assert [world.look() for _ in range(3)] == [0, 0, 3 * 100]


def test_a_deep_backlog_that_leaves_quickly_is_not_slow() -> None:
    world = World()
    world.wait("news", 400)
    for _ in range(8):
        world.leave("news", 45)
        assert world.look() == 0


def test_what_would_take_longer_than_the_bound_at_its_rate_is_slow() -> None:
    world = World()
    world.wait("news", 400)
    for _ in range(2):
        world.leave("news", 10)
        assert world.look() == 0
    world.leave("news", 10)
    assert world.look() == 3700 - 100


def test_the_oldest_waiting_too_long_is_slow_at_once() -> None:
    world = World()
    world.wait("news", 50)
    assert world.look(after=SLOW_SECONDS + 0.1) == 400


def test_what_comes_for_a_slow_app_is_excess_beyond_what_it_keeps() -> None:
    world = World()
    world.wait("news", 5)
    world.look(after=SLOW_SECONDS + 0.1)
    fresh = world.wait("news", 8)
    assert [world.slowness.is_excess(job) for job in fresh] == [False] * 5 + [True] * 3
    assert not world.slowness.is_excess(world.wait("chat", 1)[0])


def test_small_jobs_are_bounded_by_their_number() -> None:
    world = World(keep=1000)
    world.wait("news", 500, targets=1)
    assert world.look(after=SLOW_SECONDS + 0.1) == 450


def test_slow_apps_share_what_may_wait() -> None:
    world = World()
    world.wait("news", 50)
    world.wait("chat", 50)
    assert world.look(after=SLOW_SECONDS + 0.1) == 900


def test_one_that_is_quick_again_is_not_slow_any_more() -> None:
    world = World()
    world.wait("news", 50)
    world.look(after=SLOW_SECONDS + 0.1)
    world.waiting["news"].clear()
    fresh = world.wait("news", 60)
    world.leave("news", 20)
    world.look()
    world.leave("news", 20)
    world.look()
    world.leave("news", 15)
    assert world.look() == 0
    assert not world.slowness.is_excess(fresh[-1])


def test_waiting_that_the_provider_has_no_part_in_parks_nothing() -> None:
    """Encryption, pacing, CPU, Kafka: ours, however long it takes."""
    world = World()
    world.wait("news", 50, provider=QUICK)
    assert world.look(after=100.0) == 0


def test_where_nothing_is_kept_out_behind_it_a_slow_app_keeps_its_work() -> None:
    world = World()
    world.wait("news", 50, partition=1)
    world.wait("news", 50, partition=2)
    world.uncrowded = {1}
    assert world.look(after=SLOW_SECONDS + 0.1) == 400
    assert not world.slowness.is_excess(world.wait("news", 1, partition=1)[0])
    assert world.slowness.is_excess(world.wait("news", 1, partition=2)[0])


def test_what_has_no_provider_is_never_slow() -> None:
    world = World()
    world.wait("gone", 50, provider=None)
    assert world.look(after=100.0) == 0


def test_after_forgetting_rates_are_measured_anew() -> None:
    world = World()
    world.wait("news", 50)
    world.look()
    world.look()
    world.slowness.forget()
    assert [world.look() for _ in range(2)] == [0, 0]
