from __future__ import annotations

from dataclasses import replace

import pytest

from pushcast.observe.probes import Liveness, readiness
from unit.observe.figures import Group, Partition


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        (Group(assigned=False), "no partitions assigned"),
        (Group(recovered=False), "recovering"),
        (Group(partitions=[Partition(), Partition(lag_records=None)]), "end of the log is not known"),
    ],
)
def test_a_process_is_not_ready_before(group: Group, problem: str) -> None:
    (sentence,) = readiness([Group(), group], 100.0, 10.0)
    assert problem in sentence


def test_a_process_with_assignment_tables_and_lag_is_ready() -> None:
    assert readiness([Group(partitions=[Partition(lag_records=1000)]), Group(partitions=[])], 100.0, 10.0) == []


def test_a_group_without_a_heartbeat_for_longer_than_its_session_is_not_ready() -> None:
    assert readiness([Group(last_heartbeat_at=90.0)], 100.0, 10.0) == []
    (sentence,) = readiness([Group(last_heartbeat_at=36.0)], 100.0, 10.0)
    assert "no heartbeat for 64 s" in sentence


def test_a_partition_before_a_transaction_that_stays_open_is_named_with_its_time() -> None:
    assert readiness([Group(held_seconds={"t[3]": 5.0})], 100.0, 10.0) == []
    (sentence,) = readiness([Group(held_seconds={"t[3]": 31.0})], 100.0, 10.0)
    assert "t[3] waits for the end of an open transaction, for 31 s" in sentence


def test_what_the_transport_knows_is_said_with_its_group() -> None:
    group = Group(name="pushcast-plan-bulk", assigned=False, problems=["a stranger is in the group"])
    assert readiness([group], 100.0, 10.0)[0] == "pushcast-plan-bulk: a stranger is in the group"


def test_a_record_of_a_later_release_is_named_once_for_all_partitions_that_wait_for_it() -> None:
    waiting = [Partition(partition=1, waits_for="t[1]@5 has schema x"), Partition(), Partition(waits_for="a row")]
    assert readiness([Group(name="g", partitions=[*waiting, waiting[0]])], 100.0, 10.0) == [
        "g: t[1]@5 has schema x",
        "g: a row",
    ]


class Watch:
    """Liveness with a clock set by hand, and a broker that answers unless told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.liveness = Liveness(stall_seconds=60, session_timeout_seconds=10, boottime_seconds=lambda: self.now)

    def after(self, seconds: float, partition: Partition, heartbeat_age: float = 1.0) -> list[str]:
        self.now += seconds
        return self.liveness.problems([Group(partitions=[partition], last_heartbeat_at=self.now - heartbeat_age)])


STUCK = Partition(lag_records=50, oldest_unfinished_at_ms=1, in_flight_records=5)


def test_what_waits_for_another_release_is_not_killed_for_it() -> None:
    watch = Watch()
    waiting = replace(STUCK, waits_for="a record of a later release")
    assert watch.after(0, waiting) == watch.after(1000, waiting) == []


def test_a_partition_that_stands_for_too_long_is_named() -> None:
    watch = Watch()
    assert watch.after(0, STUCK) == []
    assert watch.after(60, STUCK) == []
    (problem,) = watch.after(1, STUCK)
    assert "push.receipt.v1[0] has made no progress for 61 s" in problem


def test_more_work_arriving_is_no_progress() -> None:
    watch = Watch()
    watch.after(0, STUCK)
    assert watch.after(61, Partition(lag_records=70, oldest_unfinished_at_ms=1, in_flight_records=9))


@pytest.mark.parametrize(
    "moved",
    [
        Partition(lag_records=50, oldest_unfinished_at_ms=2, in_flight_records=5),
        Partition(lag_records=50, oldest_unfinished_at_ms=1, in_flight_records=4),
        Partition(lag_records=49, oldest_unfinished_at_ms=1, in_flight_records=5),
    ],
)
def test_progress_starts_patience_anew(moved: Partition) -> None:
    watch = Watch()
    watch.after(0, STUCK)
    assert watch.after(61, moved) == []
    assert watch.after(60, moved) == []
    assert watch.after(1, moved)


def test_a_partition_with_nothing_to_do_is_alive_for_ever() -> None:
    watch = Watch()
    idle = Partition(lag_records=0)
    assert watch.after(0, idle) == []
    assert watch.after(10_000, idle) == []


def test_records_that_nobody_takes_are_a_stall() -> None:
    watch = Watch()
    unread = Partition(lag_records=3)
    watch.after(0, unread)
    assert watch.after(61, unread)


def test_an_outage_of_the_broker_kills_nobody_and_patience_starts_anew() -> None:
    watch = Watch()
    watch.after(0, STUCK)
    assert watch.after(3600, STUCK, heartbeat_age=3600) == []
    assert watch.after(1, STUCK) == []
    assert watch.after(61, STUCK)


def test_a_group_that_never_heard_from_the_broker_is_not_judged() -> None:
    watch = Watch()
    group = Group(partitions=[STUCK], last_heartbeat_at=0.0)
    assert watch.liveness.problems([group]) == []
    watch.now += 3600
    assert watch.liveness.problems([group]) == []


def test_a_partition_that_moved_away_is_forgotten() -> None:
    watch = Watch()
    watch.after(0, STUCK)
    watch.liveness.problems([Group(last_heartbeat_at=watch.now)])
    assert watch.after(61, STUCK) == []
