from __future__ import annotations

import asyncio

from pushcast.stream.errors import Flooded
from unit.send.twin import record
from unit.settle.twin import RUNG, Harness


async def test_a_flood_of_junk_ends_the_process_and_only_dead_letters_are_done() -> None:
    harness = Harness(acks=False)
    await harness.stage.handle(harness.batch(*(record(RUNG, 3, 100 + n, b"junk") for n in range(400))))
    for _ in range(20):
        await asyncio.sleep(0)
    [(_, error)] = harness.fatal
    assert isinstance(error, Flooded)
    letters = len(harness.outbox.pending)
    assert letters < 200
    harness.outbox.acknowledge()
    assert harness.low() == 100 + letters
