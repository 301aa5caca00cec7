"""What keeps a sender's targets from leaving."""

from __future__ import annotations

from pushcast.model.clock import ManualClock
from pushcast.send.gate import LAST_LEAVING_SECONDS, Gate
from pushcast.send.lease import Lease
from pushcast.send.proof import Unproven
from twins.kafka import ManualTimers


class Refused(Unproven):
    def may_leave(self) -> bool:
        return False


class World:
    def __init__(self, proof: Unproven | None = None) -> None:
        self.clock = ManualClock(0)
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.now = 100.0
        self.gate = Gate(Lease(45.0, now=lambda: self.now), proof or Unproven(), lambda: 100.0, self.timers)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timers.fire()


def test_without_a_heartbeat_nothing_leaves_and_nothing_is_passed_on() -> None:
    world = World()
    assert (world.gate.may_leave(), world.gate.is_ours(), world.gate.is_fresh()) == (True, True, True)
    world.now += 40
    assert (world.gate.may_leave(), world.gate.is_ours(), world.gate.is_fresh()) == (False, False, False)


def test_what_has_left_is_passed_on_although_outcomes_cannot_be_written_now() -> None:
    gate = World(Refused()).gate
    assert (gate.may_leave(), gate.is_ours()) == (False, True)


def test_the_doors_close_a_second_after_the_first_notice_and_open_when_all_partitions_are_given_back() -> None:
    world = World()
    with world.gate.closing():
        assert world.gate.may_leave()
        with world.gate.closing():
            world.pass_time(LAST_LEAVING_SECONDS)
            assert not world.gate.may_leave()
        assert not world.gate.may_leave()
    assert world.gate.may_leave()


def test_the_doors_stay_open_when_a_partition_is_given_back_within_the_second() -> None:
    world = World()
    with world.gate.closing():
        pass
    world.pass_time(LAST_LEAVING_SECONDS)
    assert world.gate.may_leave()
