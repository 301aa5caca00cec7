"""What SPREAD reads of legs and receipts, strangers' records among them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import pytest

from pushcast.model.clock import ManualClock
from pushcast.spread.books import SpreadBooks
from pushcast.spread.senders import Absences
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg, encode_leg
from pushcast.wire.events.orders import Order
from twins.handover import Log
from twins.kafka import Produced
from unit.walk.test_served import receipt

T0 = 1_790_000_000_000
EVENT = {"expires_at": T0 + 10**7, "step": 0, "steps": [{"share": 100}, {"share": 10_000}]}
ORDER = Order("b-0", "log", 0, T0, False, "", json.dumps(EVENT).encode())


@pytest.mark.parametrize("topic", [topics.WALKED, topics.RECEIPT])
@pytest.mark.parametrize("strange", [b"b-0", b'{"broadcast": "b-0"}', b"\0\0\0\0\7b-0"])
async def test_a_strangers_record_that_names_the_broadcast_does_not_end_spread(topic: str, strange: bytes) -> None:
    """It ended the settler's process, and each that took over after it, until Kafka had removed the record."""
    log, counters = Log(0), Counter[str]()
    leg = Leg("bulk", 7, "b-0", 0, "", "", T0, T0, apns=1, last=True)
    for name, value in ((topic, strange), (topics.WALKED, encode_leg(leg)), (topics.RECEIPT, receipt("u-1"))):
        log.log.append(Produced(name, 0, value, None, [], 0))
    reader, clock = cast(Any, log), ManualClock(T0 + 10**6)
    books = SpreadBooks(reader, 1, clock, Absences({}, reader, 1, clock), counters)
    go, tally = await books.judged("bulk", ORDER)
    assert (go, tally.planned, tally.ended, counters["unreadable"]) == (True, 1, 1, 1)
