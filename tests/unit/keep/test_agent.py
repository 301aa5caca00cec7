"""KEEP as the edge of the cancels."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from pushcast.config.settings import Flood
from pushcast.keep.agent import KeepStage
from pushcast.model.ids import partition_of
from pushcast.stream.batch import TP
from pushcast.stream.errors import Flooded
from pushcast.stream.flood import FloodGuard
from pushcast.stream.tracker import Record
from pushcast.wire import topics
from pushcast.wire.headers import FORWARDED, first
from twins.stage import TimedStage
from unit.send.twin import T0, TwinOutbox, record

PARTITIONS = 8
HOME = next(f"u{number}" for number in range(100) if partition_of(f"u{number}".encode(), PARTITIONS) == 3).encode()
AWAY = next(f"u{number}" for number in range(100) if partition_of(f"u{number}".encode(), PARTITIONS) == 4).encode()
GOOD = b'{"ids": ["n"]}'


class Harness(TimedStage):
    def __init__(self, acks: bool = True) -> None:
        super().__init__(T0)
        self.outbox = TwinOutbox(acks)
        self.counters: Counter[tuple[str, str]] = Counter()
        self.stage = KeepStage(
            self.outbox,
            self.clock,
            partitions=PARTITIONS,
            counters=self.counters,
            fatal=self.end_process,
            flood=FloodGuard(Flood(), self.clock),
        )

    @property
    def low(self) -> int:
        return self.trackers[TP(topics.CANCEL, 3)].low


def cancel(offset: int, key: bytes | None = HOME, value: bytes | None = GOOD, headers: Any = ()) -> Record:
    return record(topics.CANCEL, 3, offset, value, key, headers)


async def test_a_sound_cancel_is_done_and_leaves_nothing_behind() -> None:
    harness = Harness()
    await harness.feed(cancel(0), cancel(1))
    assert (harness.low, harness.outbox.log) == (2, [])
    assert harness.counters == {("consumed", ""): 2}


@pytest.mark.parametrize(
    ("key", "value", "reason", "field"),
    [
        (HOME, b"{", b"not_json", None),
        (HOME, b'{"ids": []}', b"invalid_field", b"ids"),
        (HOME, None, b"tombstone", None),
        (None, GOOD, b"key_missing", b"key"),
        (HOME, b"\xc3\x01junk", b"unknown_schema", None),
    ],
)
async def test_a_malformed_one_becomes_a_dead_letter_that_names_the_field(
    key: bytes | None, value: bytes | None, reason: bytes, field: bytes | None
) -> None:
    harness = Harness()
    await harness.feed(cancel(0, key, value), cancel(1))
    [letter] = harness.outbox.of(topics.dead_letter(topics.CANCEL))
    assert first(letter.headers, "push.errors.reason") == reason
    assert first(letter.headers, "push.errors.field") == field
    assert harness.low == 2


async def test_a_record_is_done_only_when_kafka_has_its_dead_letter() -> None:
    harness = Harness(acks=False)
    await harness.feed(cancel(0, value=b"{"))
    assert harness.low == 0
    harness.outbox.acknowledge()
    assert harness.low == 1


async def test_one_in_the_wrong_partition_is_moved_once_and_then_buried() -> None:
    harness = Harness()
    await harness.feed(cancel(0, AWAY), cancel(1, AWAY, headers=((FORWARDED, b"1"),)))
    moved = harness.outbox.of(topics.CANCEL)
    assert [(each.partition, each.key, each.value) for each in moved] == [(4, AWAY, GOOD)]
    [letter] = harness.outbox.of(topics.dead_letter(topics.CANCEL))
    assert first(letter.headers, "push.errors.reason") == b"wrong_partition"


async def test_a_flood_of_invalid_ones_ends_the_consumer() -> None:
    harness = Harness()
    batch = harness.batch(*(cancel(offset, value=b"{") for offset in range(5_000)))
    with pytest.raises(Flooded):
        await cast(KeepStage, harness.stage).handle(batch)
