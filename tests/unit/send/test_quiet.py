"""Quiet hours at the sender: what nobody has judged yet is kept aside; a first try that its planner let go is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pushcast.model.batch import Message
from pushcast.model.quiet import DAYS, Quiet, QuietTerms
from pushcast.model.user import QuietHours
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import Why, parked_of
from unit.send.twin import Harness, TwinProvider, message, send_batch

#: The harness begins at 08:00 in UTC.
DAY, LATER = (QuietHours(DAYS, "07:00", "10:00"),), (QuietHours(DAYS, "09:00", "10:00"),)


def quiet(windows: tuple[QuietHours, ...], *, first_try: bool = True, first_user: int = 0) -> Message:
    return replace(message(1, first_user=first_user), quiet=QuietTerms(Quiet.HOLD, "UTC", windows, first_try))


async def test_a_broadcasts_devices_in_quiet_hours_are_kept_aside_and_the_others_get_it() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    await harness.feed(send_batch(quiet(DAY), quiet(LATER, first_user=3), message(1, first_user=5)))
    assert (harness.outbox.parked(), provider.seen) == (["u0"], ["u3", "u5"])
    [parked] = harness.outbox.of(topics.PARKED)
    assert parked_of(parked.headers).why is Why.QUIET_HOURS
    [kept] = decode_batch(parked.value or b"").messages
    assert kept.quiet == QuietTerms(Quiet.HOLD, "UTC", DAY, first_try=True)
    assert harness.committable() == 101
    assert harness.budget.held == 0


@pytest.mark.parametrize("windows", [DAY, LATER])
async def test_what_its_planner_has_judged_leaves_at_once(windows: tuple[QuietHours, ...]) -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    await harness.feed(send_batch(quiet(windows, first_try=False)))
    assert provider.seen == ["u0"]
