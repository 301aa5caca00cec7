"""What senders tell the keeper of notifications that caps count (fact K3 of reference/time.md, ruling II.12)."""

from __future__ import annotations

import pytest

from pushcast.providers.port import Disposition, Result
from pushcast.wire import topics
from pushcast.wire.answers.counted import Counted, decode_counted
from unit.send.twin import T0, Harness, TwinProvider, failed, message, ok, send_batch


@pytest.mark.parametrize(
    ("result", "accepted"),
    [
        (ok(0), True),
        (failed(Disposition.INVALID, "unregistered"), False),
        (failed(Disposition.REJECTED, "bad"), False),
    ],
)
async def test_an_end_is_told_before_its_receipt(result: Result, accepted: bool) -> None:
    harness = Harness(TwinProvider(script={"u0": [result]}))
    sent = message()
    sent.counted = True
    await harness.feed(send_batch(sent))
    [told] = harness.outbox.of(topics.COUNTED)
    about = sent.targets.delivery_id[0][:8]
    said = decode_counted(told.value)
    assert (told.partition, told.key) == (3, b"u0")
    assert said == Counted("n", "news", "default", about, said.at, accepted=accepted)
    assert said.at >= T0
    order = [each.topic for each in harness.outbox.log]
    assert order.index(topics.COUNTED) < order.index(topics.RECEIPT)


async def test_what_no_cap_counts_costs_no_record() -> None:
    harness = Harness(TwinProvider(accept=True))
    await harness.feed(send_batch(message(3)))
    assert harness.outbox.of(topics.COUNTED) == []
