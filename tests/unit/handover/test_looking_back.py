"""The last records before an offset, on librdkafka's own broker."""

from __future__ import annotations

from collections import defaultdict

from pushcast.handover.copies import Copies
from pushcast.handover.looking_back import LOOKED_BACK_RECORDS, look_back
from pushcast.handover.reading import SpanReader
from pushcast.stream.batch import TP, Committed
from pushcast.wire import headers as h
from twins.broker import inner_broker, write

MINE = h.origin("plan-urgent", 0, 7)
COUNT = LOOKED_BACK_RECORDS + 20


async def test_what_stands_before_the_offset_is_remembered_and_no_more() -> None:
    with inner_broker() as broker:
        write(broker, "a", 0, *[b"%d" % number for number in range(COUNT)], headers=MINE)
        found: dict[TP, Copies] = defaultdict(Copies)
        committed = {
            TP("a", 0): Committed(COUNT - 5, ""),
            TP("a", 1): Committed(None, ""),  # nobody was here before
            TP("a", 2): Committed(7, ""),  # its log was made anew, and is empty
        }
        await look_back(SpanReader(broker), committed, found.__getitem__)
    known = [number for number in range(COUNT) if found[TP("a", 0)].is_copy(MINE, b"%d" % number, 10_000)]
    assert known == list(range(COUNT - 5 - LOOKED_BACK_RECORDS, COUNT - 5))
    assert set(found) == {TP("a", 0)}
