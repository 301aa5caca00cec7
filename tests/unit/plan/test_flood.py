from __future__ import annotations

import pytest

from pushcast.stream.errors import Flooded
from twins.plan import PlanHarness, note


async def test_a_flood_of_junk_ends_the_process_without_a_dead_letter() -> None:
    harness = PlanHarness()
    junk = [harness.raw(b"u", b"junk", index=index) for index in range(500)]
    with pytest.raises(Flooded):
        await harness.feed(*junk)
    await harness.acknowledge()
    assert harness.dead_letters() == []
    assert harness.committable == 0


async def test_some_junk_among_good_records_becomes_dead_letters() -> None:
    harness = PlanHarness()
    for number in range(600):
        await harness.feed(("u", note(number)))
        if number % 3 == 0:
            await harness.feed(harness.raw(b"u", b"junk"))
    await harness.acknowledge()
    assert len(harness.dead_letters()) == 200
