from __future__ import annotations

from dataclasses import replace

import pytest

from pushcast.stream.stage import PartitionState
from pushcast.transport.app_state import AppState
from pushcast.transport.probes import Liveness, readiness
from unit.transport.figures import app_state, partition_state


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        (app_state(assigned=False), "no partitions assigned"),
        (app_state(recovered=False), "recovering"),
        (app_state(partitions=[partition_state(), partition_state(lag_records=None)]), "end of the log is not known"),
    ],
)
def test_a_process_is_not_ready_before(group: AppState, problem: str) -> None:
    (sentence,) = readiness([app_state(), group], 100.0, 10.0)
    assert problem in sentence


def test_a_process_with_assignment_tables_and_lag_is_ready() -> None:
    assert (
        readiness([app_state(partitions=[partition_state(lag_records=1000)]), app_state(partitions=[])], 100.0, 10.0)
        == []
    )


def test_a_group_without_a_heartbeat_for_longer_than_its_session_is_not_ready() -> None:
    assert readiness([app_state(last_heartbeat_at=90.0)], 100.0, 10.0) == []
    (sentence,) = readiness([app_state(last_heartbeat_at=36.0)], 100.0, 10.0)
    assert "no heartbeat for 64 s" in sentence


def test_a_partition_before_a_transaction_that_stays_open_is_named_with_its_time() -> None:
    assert readiness([app_state(held_seconds={"t[3]": 5.0})], 100.0, 10.0) == []
    (sentence,) = readiness([app_state(held_seconds={"t[3]": 31.0})], 100.0, 10.0)
    assert "t[3] waits for the end of an open transaction, for 31 s" in sentence


def test_what_the_transport_knows_is_said_with_its_group() -> None:
    group = app_state(name="pushcast-plan-bulk", assigned=False, problems=["a stranger is in the group"])
    assert readiness([group], 100.0, 10.0)[0] == "pushcast-plan-bulk: a stranger is in the group"


def test_a_record_of_a_later_release_is_named_once_for_all_partitions_that_wait_for_it() -> None:
    waiting = [
        partition_state(partition=1, waits_for="t[1]@5 has schema x"),
        partition_state(),
        partition_state(waits_for="a row"),
    ]
    assert readiness([app_state(name="g", partitions=[*waiting, waiting[0]])], 100.0, 10.0) == [
        "g: t[1]@5 has schema x",
        "g: a row",
    ]


class Watch:
    """Liveness with a clock set by hand, and a broker that answers unless told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.liveness = Liveness(stall_seconds=60, session_timeout_seconds=10, boottime_seconds=lambda: self.now)

    def after(self, seconds: float, partition: PartitionState, heartbeat_age: float = 1.0) -> list[str]:
        self.now += seconds
        return self.liveness.problems([app_state(partitions=[partition], last_heartbeat_at=self.now - heartbeat_age)])


STUCK = partition_state(lag_records=50, oldest_unfinished_at_ms=1, in_flight_records=5)


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
    assert watch.after(61, partition_state(lag_records=70, oldest_unfinished_at_ms=1, in_flight_records=9))


@pytest.mark.parametrize(
    "moved",
    [
        partition_state(lag_records=50, oldest_unfinished_at_ms=2, in_flight_records=5),
        partition_state(lag_records=50, oldest_unfinished_at_ms=1, in_flight_records=4),
        partition_state(lag_records=49, oldest_unfinished_at_ms=1, in_flight_records=5),
    ],
)
def test_progress_starts_patience_anew(moved: PartitionState) -> None:
    watch = Watch()
    watch.after(0, STUCK)
    assert watch.after(61, moved) == []
    assert watch.after(60, moved) == []
    assert watch.after(1, moved)


def test_a_partition_with_nothing_to_do_is_alive_for_ever() -> None:
    watch = Watch()
    idle = partition_state(lag_records=0)
    assert watch.after(0, idle) == []
    assert watch.after(10_000, idle) == []


def test_records_that_nobody_takes_are_a_stall() -> None:
    watch = Watch()
    unread = partition_state(lag_records=3)
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
    group = app_state(partitions=[STUCK], last_heartbeat_at=0.0)
    assert watch.liveness.problems([group]) == []
    watch.now += 3600
    assert watch.liveness.problems([group]) == []


def test_a_partition_that_moved_away_is_forgotten() -> None:
    watch = Watch()
    watch.after(0, STUCK)
    watch.liveness.problems([app_state(last_heartbeat_at=watch.now)])
    assert watch.after(61, STUCK) == []
