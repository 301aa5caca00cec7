"""How a broadcast stands: from its legs and receipts, whatever order they come in."""

from __future__ import annotations

from typing import Any

from pushcast.audit.progress import Progress
from pushcast.model.ids import broadcast_delivery_id, device_row_key
from pushcast.model.words import Source
from pushcast.wire.answers.legs import Leg
from pushcast.wire.answers.receipts import Planned, PlannedFacts
from twins.receipts import placed

PARTITIONS = 2


def progress() -> Progress:
    return Progress("b-1", "bulk", PARTITIONS, {(0, 7): 0, (1, 4): 0})


def leg(number: int, partition: int = 0, **fields: Any) -> tuple[int, Leg]:
    order = {0: 7, 1: 4}[partition]
    return partition, Leg("bulk", fields.pop("order", order), "b-1", number, "", "", 0, 1_000, **fields)


def test_every_figure_is_so_far_until_every_partition_has_its_last_leg() -> None:
    stood = progress()
    stood.leg(*leg(0, apns=2, scanned=10, matched=3, other=1, reasons={"inactive": 1}, last=True))
    assert (stood.state, stood.partitions_done, stood.walked) == ("walking", 1, False)
    stood.held = True
    assert stood.state == "held"
    stood.leg(*leg(0, 1, fcm=1, last=True))
    assert (stood.state, stood.walked, stood.finished) == ("done", True, False)
    for delivery in range(3):
        stood.receipt(*placed(delivery))
    assert stood.finished
    told = stood.to_dict()
    assert (told["planned"], told["ended"], told["receipts"]) == (3, 3, {"accepted": 3})
    assert (told["per_platform"], told["left_out"], told["scanned"]) == ({"apns": 2, "fcm": 1}, {"inactive": 1}, 10)


def test_a_leg_read_twice_counts_once_and_another_orders_not_at_all() -> None:
    stood = progress()
    for _ in range(2):
        stood.leg(*leg(0, apns=2))
    stood.leg(*leg(1, apns=1))
    stood.leg(*leg(0, apns=5, order=8))  # the same id again: a duplicate's leg
    assert stood.planned == 3


def test_of_a_delivery_the_last_run_counts_and_a_notification_of_the_id_is_another() -> None:
    stood = progress()
    stood.receipt(*placed(1, "dead"))
    stood.receipt(*placed(1, "accepted", run=1))
    stood.receipt(*placed(2, source=Source.NOTIFICATION))
    stood.receipt(*placed(3, offset=8))
    assert stood.to_dict()["receipts"] == {"accepted": 1}


def test_within_a_run_an_acceptance_counts_whichever_receipt_comes_first() -> None:
    stood = progress()
    for delivery, outcomes in enumerate((("accepted", "dead"), ("expired", "accepted"))):
        for outcome in outcomes:
            stood.receipt(*placed(delivery, outcome))
    assert stood.to_dict()["receipts"] == {"accepted": 2}


def test_why_a_walk_ended_is_its_state() -> None:
    for reason, state in (("broadcast_stopped", "stopped"), ("expired", "expired"), ("duplicate", "duplicate")):
        stood = progress()
        stood.leg(*leg(0, last=True))
        stood.leg(*leg(0, 1, last=True, reason=reason))
        assert stood.state == state


def test_a_count_has_finished_without_receipts() -> None:
    stood = progress()
    for partition in range(PARTITIONS):
        stood.leg(*leg(0, partition, apns=50, last=True, count_only=True))
    assert (stood.finished, stood.planned, stood.to_dict()["size_class"]) == (True, 100, "S")


def test_before_it_is_spread() -> None:
    assert Progress("b-1", "bulk", PARTITIONS).state == "spreading"


def test_a_broadcast_in_steps_goes_on_until_its_last_step() -> None:
    stood = Progress("b-1", "bulk", PARTITIONS, {(0, 7): 0, (1, 4): 0}, steps=2)
    for partition in range(PARTITIONS):
        stood.leg(*leg(0, partition, apns=1, last=True))
    assert (stood.state, stood.partitions_done, stood.walked) == ("walking", 2, False)
    stood.leg(*leg(0, 1, order=9, apns=2, last=True, step=1))  # before its order is read
    stood.order(1, 9, 1)
    assert (stood.step, stood.partitions_done, stood.planned) == (1, 1, 4)
    stood.order(0, 12, 1)
    stood.leg(*leg(0, order=12, last=True, step=1))
    assert (stood.state, stood.walked) == ("done", True)


def test_a_step_that_plans_nothing_ends_a_broadcast_in_steps() -> None:
    orders = {(0, 7): 0, (1, 4): 0, (0, 12): 1, (1, 9): 1}
    stood = Progress("b-1", "bulk", PARTITIONS, orders, steps=3)
    for partition, order in ((0, 12), (1, 9)):
        stood.leg(*leg(0, partition, order=order, last=True, step=1, reason="stop_if"))
    assert (stood.walked, stood.state, stood.to_dict()["reason"]) == (True, "stopped", "stop_if")


def test_when_the_cursor_passed_a_user_is_told() -> None:
    stood = progress()
    stood.leg(0, Leg("bulk", 7, "b-1", 0, "", "u-5", 0, 1_000))
    stood.leg(0, Leg("bulk", 7, "b-1", 1, "u-5", "u-5", 0, 2_000))  # the cursor again
    assert [stood.passed_at(0, user) for user in ("u-1", "u-5", "u-6")] == [1_000, 1_000, None]
    stood.leg(0, Leg("bulk", 7, "b-1", 2, "u-5", "u-7", 0, 3_000, last=True))
    assert [stood.passed_at(0, user) for user in ("u-5", "u-6", "u-9")] == [1_000, 3_000, 3_000]


def test_a_broadcast_that_waits_for_its_time_is_scheduled() -> None:
    stood = Progress("b-1", "bulk", PARTITIONS, {(0, 7): 0, (1, 4): 0}, steps=2)
    for partition in range(PARTITIONS):
        stood.leg(*leg(0, partition, last=True, reason="scheduled"))
    assert (stood.state, stood.walked, stood.finished) == ("scheduled", False, False)
    for partition, order in ((0, 12), (1, 9)):
        stood.order(partition, order, 1)
        assert not stood.walked
        stood.leg(*leg(0, partition, order=order, last=True, step=1))
    assert (stood.state, stood.finished) == ("done", True)


def let_go(offset: int, *, held: int = 0, run: int = 0, broadcast: bool = True, **counts: int) -> Planned:
    """What a planner says of one record that the keeper let go."""
    planned = Planned("bulk", run, Source.DUE)
    planned.add(offset, "b-1", counts, facts=PlannedFacts("news", "default", held=held, broadcast=broadcast))
    return planned


def test_what_the_keeper_held_is_waited_for_and_added_when_it_leaves() -> None:
    """Rulings II.8: `broadcast status` adds both."""
    stood = progress()
    stood.leg(*leg(0, apns=1, held=2, last=True))
    stood.leg(*leg(0, 1, last=True))
    stood.receipt(*placed(1))
    assert (stood.waiting, stood.planned, stood.finished, stood.state) == (2, 1, False, "done")
    stood.released(0, let_go(3, apns=2))
    stood.released(0, let_go(3, apns=2))
    stood.released(0, let_go(4, held=1, fcm=1))  # a part of it goes back
    assert (stood.waiting, stood.planned) == (1, 4)
    stood.released(0, let_go(5, fcm=1))
    for device in "abcd":
        delivery = broadcast_delivery_id("b-1", device_row_key("u-1", "news", device))
        stood.receipt(*placed(delivery, offset=3, source=Source.DUE, device=device))
    assert (stood.waiting, stood.planned, stood.ended, stood.finished) == (0, 5, 5, True)
    told = stood.to_dict()
    assert (told["held"], told["waiting"], told["per_platform"]) == (2, 0, {"apns": 3, "fcm": 2})


def test_a_notification_of_the_same_id_that_was_held_is_another() -> None:
    stood = progress()
    stood.released(0, let_go(3, apns=2, broadcast=False))
    stood.receipt(*placed(1, source=Source.DUE))
    assert (stood.planned, stood.ended) == (0, 0)


def test_rows_are_those_of_all_partitions_as_far_as_they_are_known() -> None:
    stood = progress()
    assert stood.rows is None
    stood.leg(*leg(0, scanned=10), 40)
    assert (stood.scanned, stood.rows) == (10, 80)
    stood.leg(*leg(0, 1, scanned=30), 20)
    assert stood.rows == 70, "never fewer than were tested"
    stood.leg(*leg(1, scanned=5, last=True), 40)
    assert stood.rows == 45
    stood.leg(*leg(1, 1, last=True))
    assert (stood.scanned, stood.to_dict()["rows"]) == (45, 45)


def test_who_follows_a_providers_topic_is_not_known() -> None:
    stood = Progress("b-1", "bulk", 1, {(0, 7): 0}, via="fcm_topic")
    assert (stood.to_dict()["via"], stood.to_dict()["reach"]) == ("fcm_topic", "unknown")
    assert "reach" not in progress().to_dict()
