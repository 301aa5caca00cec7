"""C13: a group whose offsets were deleted says so, and its owner outranks predecessors whose clocks ran ahead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, cast

import pytest

from pushcast.handover import standing
from pushcast.handover.runner import Handover, Items
from pushcast.model.clock import ManualClock
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import TP, Committed
from pushcast.wire.headers import Headers
from twins.handover import Log, Process
from twins.kafka import Produced

OURS = TP("notes", 3)
NOW_MS = 1_800_000_000_000
AN_HOUR_MS = 3_600_000


class Work:
    """A consumer that takes every claim."""

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        return True


async def taken(
    world: Log, committed: Committed, now_ms: int = NOW_MS, items: Items = lambda headers, value: ()
) -> Handover:
    """A new owner of the partition, and a record that it writes."""
    outbox = Process(world)
    handover = Handover(
        "plan",
        {"echoes": items},
        outbox=cast(Any, outbox),
        reader=cast(Any, world),
        clock=ManualClock(now_ms),
    )

    async def acknowledge() -> None:
        while True:
            if outbox.pending:
                outbox.acknowledge()
            await asyncio.sleep(0)

    acknowledging = asyncio.create_task(acknowledge())
    await handover.take_over(Work(), {OURS: committed})
    outbox.put(outbox.barrier(), "echoes", OURS.partition, b"v", None, handover.origin(OURS))
    outbox.acknowledge()
    acknowledging.cancel()
    return handover


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_first_start_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    handover = await taken(Log(3), Committed(None, ""))
    assert (told(caplog), handover.counters["offsets_gone"]) == ([], 0)


async def test_offsets_that_were_deleted_are_told_by_partition(caplog: pytest.LogCaptureFixture) -> None:
    world = Log(3)
    await taken(world, Committed(None, ""))
    handover = await taken(world, Committed(None, ""))
    [line] = told(caplog)
    assert "the group has no offset of notes[3] any more" in line
    assert "what was handled before is handled again" in line
    assert handover.counters["offsets_gone"] == 1


async def test_offsets_that_an_operator_set_are_not_called_deleted(caplog: pytest.LogCaptureFixture) -> None:
    world = Log(3)
    await taken(world, Committed(None, ""))
    await taken(world, Committed(0, ""))
    assert told(caplog) == []


@pytest.mark.parametrize("offset", [None, 0])
async def test_what_the_new_owner_writes_counts_though_its_predecessors_clock_ran_an_hour_ahead(
    offset: int | None,
) -> None:
    world = Log(3)
    await taken(world, Committed(None, ""), NOW_MS + AN_HOUR_MS)
    await taken(world, Committed(offset, ""))
    assert len(world.valid("echoes")) == 2


async def test_a_record_that_claims_to_be_ours_and_cannot_be_read_keeps_nobody_from_starting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each owner ended at it, one after the other, until Kafka had removed it."""
    world = Log(3)
    before = await taken(world, Committed(None, ""))
    reading = standing.decode(before.metadata(OURS, 0))._replace(positions={"echoes": 0})

    def items(headers: Headers, value: bytes) -> Iterable[tuple[Any, bytes]]:
        raise {b"v": InvalidInput("undecodable", "no record"), b"w": ValueError("b'secret' is no number")}[value]

    for value in (b"w",):
        world.log.append(Produced("echoes", 3, value, None, before.origin(OURS), 0))
    after = await taken(world, Committed(0, standing.encode(reading)), items=items)
    assert after.counters["unreadable"] == 2
    [said] = [each for each in told(caplog) if "cannot be read" in each]
    assert said.startswith("echoes[3]@1 ")
    assert "secret" not in said
