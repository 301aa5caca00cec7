"""Whether the next step of a broadcast begins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.broadcast import Step, StopIf
from pushcast.model.words import Outcome, Source
from pushcast.spread import steps as module
from pushcast.spread.steps import StepTally, judged
from pushcast.wire.answers.legs import Leg
from pushcast.wire.events.orders import Order

T0 = 1_790_000_000_000
STEP = Step(100, 300, StopIf(invalid_share=0.05, rejected_share=0.02))
LATER = T0 + 300_000


def tally(planned: int = 100, *, partitions: int = 2, walked: bool = True) -> StepTally:
    event = {"expires_at": T0 + 10**7, "step": 0, "steps": [{"share": 100}, {"share": 10_000}]}
    made = StepTally("bulk", Order("b-1", "log", 0, T0, False, "", json.dumps(event).encode()), partitions)
    made.leg(0, leg(7, apns=planned, last=True))
    made.leg(1, leg(4, last=walked))
    return made


def leg(order: int, **fields: Any) -> Leg:
    return Leg("bulk", order, "b-1", 0, "", "", 0, T0, **fields)


def receipt(delivery: int, outcome: str = "accepted", **fields: Any) -> dict[str, Any]:
    made = {"notification_id": "b-1", "lane": "bulk", "source": Source.WALK, "source_partition": 0, "source_offset": 7}
    made |= {"platform": "apns"}
    return {**made, "delivery_id": f"{delivery:032x}", "outcome": outcome, "run": 0, **fields}


def test_it_waits_for_the_last_leg_of_every_partition_and_then_so_long() -> None:
    found = tally(walked=False)
    for delivery in range(100):
        found.receipt(receipt(delivery))
    assert judged(STEP, found, LATER) is None
    found.leg(1, leg(4, last=True))
    assert judged(STEP, found, LATER - 1) is None
    assert judged(STEP, found, LATER) is True


def test_it_waits_until_half_of_the_deliveries_have_ended() -> None:
    found = tally()
    for delivery in range(49):
        found.receipt(receipt(delivery))
    assert judged(STEP, found, LATER) is None
    found.receipt(receipt(49))
    assert judged(STEP, found, LATER) is True
    assert judged(Step(100, 300), tally(), LATER) is True  # it asks for no receipts


def test_a_platform_without_senders_is_not_waited_for() -> None:
    """Most of the step was Expo's, and nobody had started its senders: the rest of the audience never got it."""
    found = tally(40)
    found.leg(0, leg(7, expo=60))
    for delivery in range(20):
        found.receipt(receipt(delivery))
    assert judged(STEP, found, LATER) is None
    assert (found.behind, found.has_enough) == (["expo"], False)
    found.left_out = frozenset(["expo"])
    assert judged(STEP, found, LATER) is True
    for delivery in range(3):
        found.receipt(receipt(delivery, "invalid", run=1))
    assert judged(STEP, found, LATER) is False, "what has ended is judged as before"


def test_where_there_are_no_senders_at_all_nothing_is_known() -> None:
    found = tally()
    found.left_out = frozenset(["apns"])
    assert judged(STEP, found, LATER) is None


@pytest.mark.parametrize(("outcome", "most"), [("invalid", 5), ("rejected", 2)])
def test_a_share_at_its_limit_is_well_and_above_it_is_not(outcome: str, most: int) -> None:
    found = tally()
    for delivery in range(100):
        found.receipt(receipt(delivery, outcome if delivery < most else "accepted"))
    assert judged(STEP, found, LATER) is True
    found.receipt(receipt(50, outcome, run=1))
    assert judged(STEP, found, LATER) is False


def test_an_acceptance_is_not_taken_back_within_its_run() -> None:
    found = tally()
    for delivery in range(100):
        found.receipt(receipt(delivery))
        found.receipt(receipt(delivery, "invalid"))
    assert judged(STEP, found, LATER) is True


def test_a_step_that_reached_nobody_holds_up_nothing() -> None:
    assert judged(STEP, tally(0), LATER) is True


def test_other_steps_counts_and_receipts_of_others_are_left_out() -> None:
    found = tally()
    found.leg(0, leg(9, apns=50, step=1))
    found.leg(0, leg(9, apns=50, count_only=True))
    found.leg(0, leg(9, apns=50, reason="duplicate"))
    for other in ({"source_offset": 8}, {"source": 0}, {"lane": "urgent"}, {"notification_id": "b-2"}):
        found.receipt(receipt(1, **other))
    assert (found.planned, found.ended) == (100, 0)


def test_of_many_deliveries_a_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DELIVERIES", 100)
    found = tally(1_000)
    for number in range(1_000):
        delivery = (number * 2_654_435_761 % 2**32) << 96  # even over the ids, as hashes are
        found.receipt(receipt(delivery, "invalid" if number % 4 == 0 else "accepted"))
    assert 700 < found.ended < 1_300
    assert 0.15 < found.share(Outcome.INVALID) < 0.35
