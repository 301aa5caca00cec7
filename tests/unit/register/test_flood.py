from __future__ import annotations

import pytest

from pushcast.config.stages import Flood
from pushcast.stream.errors import Flooded
from pushcast.stream.flood import FloodGuard
from pushcast.wire.topics import DEVICE_CHANGED
from unit.register.test_bad_input import letters
from unit.register.test_stage import HOME, USER, register
from unit.register.twin import Harness


def harness() -> Harness:
    made = Harness()
    made.stage._edge._flood = FloodGuard(Flood(least_records=20), made.clock)
    return made


async def test_a_flood_of_junk_ends_the_process_without_a_dead_letter() -> None:
    own = harness()
    with pytest.raises(Flooded):
        await own.change(*[(USER, b"{nope")] * 30)
    assert letters(own) == []
    assert own.committable(DEVICE_CHANGED, HOME) == 0


async def test_some_junk_among_good_records_becomes_dead_letters() -> None:
    own = harness()
    await own.change(*[(USER, register()), (USER, register()), (USER, b"{nope")] * 20)
    assert len(letters(own)) == 20
