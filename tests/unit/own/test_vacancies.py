"""TokenMarks of tokens that nobody has: when they end, and when they do not."""

from __future__ import annotations

import pytest

from pushcast.model.ownership import Mark, Registration
from pushcast.own.decide import DAY_MS, is_over
from pushcast.stream.sweeps import ASK_SECONDS, FIRST_SECONDS, SLICE_ROWS
from pushcast.wire.devices.ownership import encode_claims, encode_mark
from pushcast.wire.headers import CE_ID, first
from pushcast.wire.topics import TOKEN_CLAIM, TOKEN_OWNER
from twins.kafka import settled
from unit.own.twin import DIGEST, HOME, TOKEN, VACANT_DAYS, OwnHarness, claim, own_kafka
from unit.register.twin import T0, record

DAY_SECONDS = 86_400.0
OTHER = TOKEN._replace(app="chat")


async def vacant(clock_days: float = 0.0) -> OwnHarness:
    """An owner of the partition that has the mark of a vacant token; the process's clock goes on by so many days."""
    harness = OwnHarness()
    await harness.take_over(HOME)
    await harness.feed(claim("a", 1), claim("a", 1, over=True))
    harness.kafka.tail(HOME)
    harness.clock.jump_wall(clock_days * DAY_SECONDS)
    return harness


async def claimed(harness: OwnHarness, days: float) -> None:
    """A claim of another token came so many days after T0."""
    each = record(
        TOKEN_CLAIM, HOME, 2, DIGEST, encode_claims([claim("b", 2, OTHER)]), timestamp=T0 + round(days * DAY_MS)
    )
    await harness.feed(each)
    harness.kafka.tail(HOME)


async def swept(harness: OwnHarness, seconds: float = FIRST_SECONDS) -> None:
    """So much time of the process's own clock passes, and its sweeps with it."""
    harness.clock.advance(seconds)
    harness.timers.fire()
    await settled()
    harness.kafka.tail(HOME)
    assert not harness.failures


@pytest.mark.parametrize(("live", "changed_at", "over"), [(False, 9, True), (False, 10, False), (True, 0, False)])
def test_a_mark_is_over_when_its_token_was_vacant_before_that_time_and_never_while_it_is_live(
    live: bool, changed_at: int, over: bool
) -> None:
    assert is_over(Mark(Registration(5, b"a\0news\0d"), live, changed_at), 10) is over


async def test_the_mark_of_a_token_that_was_vacant_for_long_becomes_a_tombstone() -> None:
    harness = await vacant(clock_days=VACANT_DAYS + 1)
    await claimed(harness, VACANT_DAYS + 1)
    await swept(harness)
    last = harness.kafka.log[TOKEN_OWNER, HOME][-1]
    assert (last.key, last.value) == (TOKEN.key(), None)
    assert (first(last.headers, CE_ID) or b"").startswith(b"sweep/")
    assert list(harness.owners()) == [OTHER]
    assert harness.counters["token_marks_ended", ""] == 1


@pytest.mark.parametrize(("clock_days", "claim_days"), [(VACANT_DAYS + 1, VACANT_DAYS - 1), (VACANT_DAYS - 1, 400)])
async def test_neither_a_clock_that_runs_ahead_nor_a_claim_from_the_future_ends_a_mark(
    clock_days: float, claim_days: float
) -> None:
    harness = await vacant(clock_days)
    await claimed(harness, claim_days)
    await swept(harness)
    assert TOKEN in harness.owners()


async def test_while_no_claim_has_come_no_mark_ends() -> None:
    heir = OwnHarness((await vacant()).kafka)
    await heir.take_over(HOME)
    heir.clock.jump_wall(400 * DAY_SECONDS)
    await swept(heir)
    assert TOKEN in heir.owners()


async def test_a_token_that_is_claimed_while_the_sweep_comes_by_keeps_its_mark() -> None:
    harness = await vacant(clock_days=VACANT_DAYS + 1)
    await claimed(harness, VACANT_DAYS + 1)
    harness.kafka.acks = False
    await harness.feed(record(TOKEN_CLAIM, HOME, 3, DIGEST, encode_claims([claim("a", 3)])))  # on its way to Kafka
    harness.clock.advance(FIRST_SECONDS)
    harness.timers.fire()
    await settled()
    harness.kafka.acknowledge()
    assert harness.owners()[TOKEN].registration == claim("a", 3).registration


async def test_an_owner_that_lost_its_partition_sweeps_nothing_and_asks_again() -> None:
    harness = await vacant(clock_days=VACANT_DAYS + 1)
    await claimed(harness, VACANT_DAYS + 1)
    heir = OwnHarness(own_kafka(log=harness.kafka.log))
    heir.kafka.tail(HOME)
    await heir.take_over(HOME)
    harness.kafka.tail(HOME)
    await swept(harness)
    await swept(harness, ASK_SECONDS)
    assert TOKEN in harness.owners()


async def test_more_marks_than_a_slice_are_all_looked_at_and_again_a_day_later() -> None:
    harness = await vacant(clock_days=VACANT_DAYS + 1)
    old = encode_mark(Mark(Registration(T0, b"a\0news\0d"), False, T0))
    for number in range(SLICE_ROWS):
        key = TOKEN._replace(digest=number.to_bytes(16, "big")).key()
        harness.kafka.append(record(TOKEN_OWNER, HOME, 0, key, old))
    harness.kafka.tail(HOME)
    await claimed(harness, VACANT_DAYS + 1)
    await swept(harness)
    await swept(harness, 1.0)
    assert list(harness.owners()) == [OTHER]
    harness.kafka.append(record(TOKEN_OWNER, HOME, 0, TOKEN.key(), old))
    harness.kafka.tail(HOME)
    await swept(harness, DAY_SECONDS)
    assert list(harness.owners()) == [OTHER]


async def test_a_tombstone_that_was_on_its_way_is_not_undone_by_healing() -> None:
    """A void row is overwritten with what is known, and what is known may be that nothing is there."""
    harness = await vacant(clock_days=VACANT_DAYS + 1)
    await claimed(harness, VACANT_DAYS + 1)
    harness.kafka.acks = False
    harness.clock.advance(FIRST_SECONDS)
    harness.timers.fire()
    await settled()
    tenure = harness.stage._tenure_of(HOME)
    assert tenure is not None
    harness.stage._marks.overwrite(tenure, {TOKEN.key(): 0})
    harness.kafka.acknowledge()
    assert TOKEN not in harness.owners()
