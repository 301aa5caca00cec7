"""Cancels in PLAN (reference/time.md, C2 and the order of gates in A0)."""

from __future__ import annotations

from pushcast.stream.cancelling import NothingCancelled
from pushcast.wire.control.cancel_state import CancelRecord
from pushcast.wire.control.control import CampaignCancel
from twins.plan import T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)


def harness_of(*ids: str) -> PlanHarness:
    cancels = NothingCancelled()
    cancels.state.begin(3)
    value = b'{"ids": [%s]}' % b", ".join(b'"%s"' % each.encode() for each in ids)
    cancels.state.apply(3, [CancelRecord(ANN.encode(), value, T0)], T0)
    return PlanHarness(cancels=cancels)


async def test_c2_what_was_cancelled_before_it_came_is_planned_to_one_receipt() -> None:
    harness = harness_of("n-1")
    harness.device(ANN)
    await harness.feed((ANN, note(1)), (ANN, note(2)))
    await harness.acknowledge()
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"], receipt["attempts"]) == ("cancelled", "cancelled", 0)
    assert [id_ for _, id_, _, _ in harness.targets()] == ["n-2"]
    rows = {row[1]: row[3] for row in harness.planned()}
    assert rows == {"n-1": "cancelled", "n-2": ""}


async def test_a_cancelled_notification_that_comes_twice_is_a_duplicate() -> None:
    harness = harness_of("n-1")
    await harness.feed((ANN, note(1)), (ANN, note(1)))
    await harness.acknowledge()
    assert len(harness.receipts()) == 1


async def test_a_cancel_stands_before_expiry_and_before_the_second_look_for_devices() -> None:
    harness = harness_of("n-1", "n-2")
    await harness.feed((ANN, note(1)), (ANN, note(2, created_at=T0 - 9_000, expires_at=T0 - 1)))
    await harness.acknowledge()
    assert {each["reason"] for each in harness.receipts()} == {"cancelled"}


async def test_a_campaign_that_is_cancelled_while_it_is_still_written_sends_nothing_from_there_on() -> None:
    """Bad input of the issue: what was planned before is its senders' to end (C7); the rest ends here."""
    cancels = NothingCancelled()
    cancels.state.begin(3)
    harness = PlanHarness(cancels=cancels)
    harness.device(ANN)
    of_campaign = [(ANN, note(number, campaign="xmas-26")) for number in range(6)]
    await harness.feed(*of_campaign[:2])
    cancels.state.campaigns = {"xmas-26": CampaignCancel(by="ops")}
    await harness.feed(*of_campaign[2:], (ANN, note(9, campaign="other")))
    await harness.acknowledge()
    assert [name for _, name, _, _ in harness.targets()] == ["n-0", "n-1", "n-9"]
    assert [each["reason"] for each in harness.receipts()] == ["cancelled"] * 4
