"""Cancels in SEND: the facts C1 to C6 of reference/time.md, as far as a sender decides them."""

from __future__ import annotations

import json
from typing import Any

from pushcast.model.batch import Notes
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import NOT_SENT_IN_TIME
from pushcast.send.cancelling import Cancelling
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.cancelling import NothingCancelled
from pushcast.wire.control.cancel_state import CancelRecord, CancelState
from pushcast.wire.control.control import CampaignCancel, Kind, Name, encode
from pushcast.wire.control.control_state import ControlState
from unit.send.twin import T0, Harness, TwinProvider, failed, message, ok, send_batch

PARTITION = 3
WITHDRAWN = [failed(Disposition.UNSENT, NOT_SENT_IN_TIME)]


def harness_of(provider: TwinProvider, **options: Any) -> tuple[Harness, CancelState]:
    cancels = NothingCancelled()
    cancels.state.begin(PARTITION)
    return Harness(provider, cancels=cancels, **options), cancels.state


def cancel(state: CancelState, user: str, *ids: str) -> None:
    state.apply(PARTITION, [CancelRecord(user.encode(), json.dumps({"ids": ids}).encode(), T0)], T0)


async def test_c3_what_is_cancelled_in_the_send_backlog_ends_without_an_attempt() -> None:
    provider = TwinProvider(accept=True)
    harness, state = harness_of(provider)
    cancel(state, "u1", "n")
    await harness.feed(send_batch(message(3)))
    assert harness.outbox.outcomes() == {
        "u0": ("accepted", None),
        "u1": ("cancelled", "cancelled"),
        "u2": ("accepted", None),
    }
    assert [r["attempts"] for r in harness.outbox.receipts() if r["user"] == "u1"] == [0]
    assert provider.seen == ["u0", "u2"]
    assert harness.committable() == 101
    assert harness.budget.held == 0


async def test_a_cancel_of_another_partition_or_user_holds_nothing_back() -> None:
    provider = TwinProvider(accept=True)
    harness, state = harness_of(provider)
    state.begin(4)
    state.apply(4, [CancelRecord(b"u1", b'{"ids": ["n"]}', T0)], T0)
    cancel(state, "u9", "n")
    await harness.feed(send_batch(message(3)))
    assert provider.seen == ["u0", "u1", "u2"]


async def test_what_waits_for_budget_is_looked_at_when_its_turn_comes() -> None:
    provider = TwinProvider()
    harness, state = harness_of(provider, capacity=1)
    await harness.feed(send_batch(message(1), message(1, first_user=1)))
    cancel(state, "u1", "n")
    provider.calls[0].answer(ok(0))
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("cancelled", "cancelled")}
    assert provider.seen == ["u0"]


async def test_c4_what_is_at_the_provider_ends_as_the_provider_says() -> None:
    provider = TwinProvider()
    harness, state = harness_of(provider)
    await harness.feed(send_batch(message(1)))
    cancel(state, "u0", "n")
    await harness.settle()
    assert harness.outbox.log == []
    assert not provider.may_leave(), "what is not written yet must not be written now"
    provider.calls[0].answer(ok(0))
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None)}


async def test_what_the_provider_has_not_written_comes_back_and_only_the_cancelled_ends() -> None:
    provider = TwinProvider()
    harness, state = harness_of(provider)
    await harness.feed(send_batch(message(3)))
    cancel(state, "u1", "n")
    provider.calls[0].answer(ok(0), *[each._replace(target=t) for t in (1, 2) for each in WITHDRAWN])
    await harness.settle()
    harness.fire()
    await harness.settle()
    assert provider.seen[3:] == ["u2"]
    provider.calls[1].answer(ok(2))
    await harness.settle()
    assert harness.outbox.outcomes()["u1"] == ("cancelled", "cancelled")
    assert {r["user"]: r["attempts"] for r in harness.outbox.receipts()} == {"u0": 1, "u1": 0, "u2": 1}
    assert harness.committable() == 101


async def test_what_is_taken_back_has_spent_no_try() -> None:
    provider = TwinProvider()
    harness, state = harness_of(provider, attempts=1)
    await harness.feed(send_batch(message(2)))
    cancel(state, "u1", "n")
    provider.calls[0].answer(*[WITHDRAWN[0]._replace(target=target) for target in (0, 1)])
    await harness.settle()
    harness.fire()
    await harness.settle()
    provider.calls[1].answer(ok(0))
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("cancelled", "cancelled")}


async def test_a_cancel_that_concerns_nothing_of_a_call_leaves_it_alone() -> None:
    provider = TwinProvider()
    harness, state = harness_of(provider)
    await harness.feed(send_batch(message(2)))
    cancel(state, "u0", "another")
    cancel(state, "u7", "n")
    assert provider.may_leave()


async def test_a_delivery_that_may_have_arrived_is_not_called_cancelled() -> None:
    provider = TwinProvider(script={"u0": [failed(Disposition.UNKNOWN), ok(0)]})
    harness, state = harness_of(provider)
    await harness.feed(send_batch(message(1)))
    cancel(state, "u0", "n")
    harness.fire()
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("dead", "unknown_outcome")}


async def test_a_redelivered_record_ends_a_cancelled_delivery_once() -> None:
    provider = TwinProvider(accept=True)
    harness, state = harness_of(provider)
    cancel(state, "u0", "n")
    cancel(state, "u0", "n")
    await harness.feed(send_batch(message(1)))
    assert [r["outcome"] for r in harness.outbox.receipts()] == ["cancelled"]


async def test_c7_a_campaign_that_is_cancelled_ends_wherever_it_is() -> None:
    provider = TwinProvider()
    harness, state = harness_of(provider)
    control = ControlState()
    state.follow_campaigns(control)
    xmas = message(2)
    xmas.notes = Notes(campaign=["xmas"])
    await harness.feed(send_batch(xmas), send_batch(message(1, name="m", first_user=8)))
    control.apply(Name(Kind.CANCEL, "xmas").key(), encode(CampaignCancel()))
    provider.calls[0].answer(*[WITHDRAWN[0]._replace(target=target) for target in (0, 1)])
    provider.calls[1].answer(ok(0))
    await harness.settle()
    harness.fire()
    await harness.settle()
    assert harness.outbox.outcomes() == {
        "u0": ("cancelled", "cancelled"),
        "u1": ("cancelled", "cancelled"),
        "u8": ("accepted", None),
    }
    assert {r["campaign"] for r in harness.outbox.receipts()} == {"xmas", None}


def test_only_the_urgent_lane_leaves_with_an_old_view_of_the_cancels() -> None:
    state = CancelState()
    clock = Harness(TwinProvider()).clock
    urgent, bulk = Cancelling(state, clock, Lane.URGENT), Cancelling(state, clock, Lane.BULK)
    assert bulk.is_current(), "nobody follows the cancels"
    state.current_at = boottime_seconds() - 60
    assert (urgent.is_current(), bulk.is_current()) == (True, False)
    state.current_at = boottime_seconds()
    assert bulk.is_current()


async def test_what_leaves_on_the_urgent_lane_with_an_old_view_is_counted() -> None:
    """Rulings II.27."""
    provider = TwinProvider(accept=True)
    harness, state = harness_of(provider)
    state.current_at = boottime_seconds() - 1.0
    await harness.feed(send_batch(message(2)))
    assert harness.stage.figures.unheard.total() == 0
    state.current_at = boottime_seconds() - 60.0
    cancel(state, "u4", "n")
    await harness.feed(send_batch(message(3, first_user=2)))
    assert harness.outbox.outcomes()["u4"] == ("cancelled", "cancelled"), "what was heard counts all the same"
    assert harness.stage.figures.unheard == {(Platform.APNS, Lane.URGENT): 2}
