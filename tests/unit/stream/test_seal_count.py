"""Seals of a key are counted over all registrars and restarts."""

from __future__ import annotations

import os
from collections import Counter

import structlog.testing

from pushcast.model.clock import ManualClock
from pushcast.model.key_wear import ALARM_SEALS
from pushcast.observe.catalogue import MetricName
from pushcast.register.tokens import SealedTokens
from pushcast.stream.seal_count import LOOK_SECONDS, THERE_SECONDS, KeyedRecord, SealCount
from pushcast.wire import topics
from pushcast.wire.sealing.key_seals import SealCounts, encode, key_of, told, total
from pushcast.wire.sealing.seals import Place, TokenKeys
from unit.send.twin import T0, TwinOutbox

OTHER = key_of("other")


class Bench:
    def __init__(self, *records: KeyedRecord) -> None:
        self.outbox, self.clock = TwinOutbox(), ManualClock(T0)
        self.records = list(records)
        self.mine: Counter[str] = Counter()
        self.count = SealCount(self.mine, self.read, self.outbox, self.clock)

    async def read(self) -> list[KeyedRecord]:
        return [*self.records, *self.written()]

    def written(self) -> list[KeyedRecord]:
        return [(entry.key, entry.value) for entry in self.outbox.of(topics.WHERE)]

    async def after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.count.step()

    def total(self) -> Counter[str]:
        return total(told([*self.records, *self.written()]))


async def test_what_a_process_seals_is_told_and_adds_up_with_the_others() -> None:
    bench = Bench((OTHER, encode(SealCounts(T0, {"t1": 5}))))
    bench.mine["t1"] = 3
    await bench.after(0)
    assert bench.total() == bench.count.totals() == {"t1": 8}
    before = len(bench.written())
    await bench.after(60)
    assert len(bench.written()) == before, "nothing was sealed since"
    bench.mine["t1"] += 1
    await bench.after(60)
    assert bench.total() == {"t1": 9}
    [sample] = bench.count.samples()
    assert (sample.name, sample.value, sample.labels) == (MetricName.KEY_SEALS, 9, ("t1",))


async def test_who_seals_nothing_says_that_it_is_there() -> None:
    bench = Bench()
    await bench.after(0)
    await bench.after(THERE_SECONDS)
    assert len(bench.written()) == 2


async def test_what_a_process_that_is_gone_had_sealed_is_taken_over_once() -> None:
    bench = Bench((OTHER, encode(SealCounts(T0 - 7_200_000, {"t1": 5, "t0": 1}))))
    bench.mine["t1"] = 3
    await bench.after(0)
    assert bench.written()[-1] == (OTHER, None)
    assert bench.total() == bench.count.totals() == {"t1": 8, "t0": 1}
    await bench.after(LOOK_SECONDS)
    assert bench.total() == bench.count.totals() == {"t1": 8, "t0": 1}


async def test_a_worn_key_is_told_once() -> None:
    bench = Bench((OTHER, encode(SealCounts(T0, {"t1": ALARM_SEALS - 1}))))
    with structlog.testing.capture_logs() as logs:
        await bench.after(0)
        assert not logs
        bench.mine["t1"] = 1
        await bench.after(60)
        await bench.after(60)
    assert [(each["event"], each["key"], each["seals"]) for each in logs] == [("key_is_worn", "t1", ALARM_SEALS)]


async def test_the_last_seals_are_told_at_the_end() -> None:
    bench = Bench()
    await bench.count.start()
    bench.mine["t1"] = 3
    await bench.count.close()
    assert bench.total() == {"t1": 3}


def test_each_new_seal_counts_and_kept_bytes_do_not() -> None:
    keys = TokenKeys({"t1": bytes(32)}, "t1", bytes(32))
    tokens, place = SealedTokens(lambda: keys, os.urandom), Place("news", "apns", "token", "u", "d")
    tokens.stored(b"ab12", place, None)
    tokens.stored(b"ab12", place, None)
    assert tokens.seals == {"t1": 2}
