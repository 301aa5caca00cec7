from __future__ import annotations

import asyncio

from pushcast.config.stages import Flood
from pushcast.stream.errors import Flooded
from pushcast.stream.flood import FloodGuard
from unit.send.twin import Harness, TwinProvider, message, send_batch


async def test_a_flood_of_junk_ends_the_process_and_nothing_more_is_acknowledged() -> None:
    harness = Harness(TwinProvider(accept=True), acks=False)
    harness.stage._intake._edge._flood = FloodGuard(Flood(), harness.clock)
    await harness.stage.handle(harness.next_batch(send_batch(message(1)), *[b"junk"] * 400))
    for _ in range(20):
        await asyncio.sleep(0)
    assert any(isinstance(error, Flooded) for _, error in harness.fatal)
    assert len(harness.outbox.pending) <= 200
    assert harness.committable() == 100
