"""What is said of work as it comes in."""

from __future__ import annotations

import pytest

from pushcast.model.words import Lane, Platform
from pushcast.providers.expiry import MAX_EPOCH_SECONDS
from unit.send.twin import Harness, TwinProvider, message, send_batch

LAST = MAX_EPOCH_SECONDS * 1000


async def test_expiries_beyond_what_the_provider_takes_are_counted_each_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = Harness(TwinProvider(accept=True))
    await harness.feed(send_batch(message(2, expires_at=LAST)))
    assert not harness.figures.expiries_cut
    for first_user in (2, 5):
        await harness.feed(send_batch(message(3, expires_at=LAST + 1, first_user=first_user)))
    assert harness.figures.expiries_cut == {(Platform.APNS, Lane.URGENT): 6}
    assert [record.getMessage() for record in caplog.records if "cut" in record.getMessage()] == [
        "pushcast-send-apns-urgent: expiries beyond what apns takes are cut (app news)"
    ]
