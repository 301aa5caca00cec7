"""What a new owner of a partition remembers of it, so that it knows copies of what its predecessor handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pushcast.handover.copies import Copies
from pushcast.handover.reading import SpanReader
from pushcast.kafka.headers import headers_of
from pushcast.stream.batch import TP, Committed

#: Before the committed offset. A batch of Kafka's client holds half a megabyte: 64 records of 8 KB.
LOOKED_BACK_RECORDS: Final = 64

#: Of a partition that was just assigned.
CopiesOf = Callable[[TP], Copies]


async def look_back(reader: SpanReader, committed: Mapping[TP, Committed], copies_of: CopiesOf) -> None:
    """Has `copies_of` each partition remember the last records below its offset. Raises TailUnreadable.

    `copies_of` is called on the reading thread; nobody else may use what it returns until then.
    """
    offsets = {(tp.topic, tp.partition): at.offset for tp, at in committed.items() if at.offset}
    ends = await reader.written(offsets)  # a log that was made anew ends before the offset
    spans = {
        spot: (max(0, offset - LOOKED_BACK_RECORDS), offset) for spot, offset in offsets.items() if offset <= ends[spot]
    }

    def remember(message: Any) -> None:
        copies = copies_of(TP(message.topic(), message.partition()))
        copies.is_copy(headers_of(message), message.value(), cast(int, message.offset()))

    await reader.read(spans, remember)
