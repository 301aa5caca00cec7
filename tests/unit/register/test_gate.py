"""Rows wait until Kafka has what their writing gives up."""

from __future__ import annotations

from functools import partial

import orjson
import pytest

from pushcast.model.ids import partition_of
from pushcast.register.gate import RowGate
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_CLAIM
from twins.kafka import TwinBarrier, settled
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka

HOME = partition_of(b"u-1", PARTITIONS)


@pytest.mark.asyncio
async def test_what_comes_later_waits_in_its_order_behind_what_waits() -> None:
    gate, done, claims = RowGate(), list[str](), TwinBarrier()
    claims.puts = 1
    gate.run(partial(gate.after, claims, partial(done.append, "row")))
    gate.run(partial(done.append, "next row"))
    rows = TwinBarrier()
    gate.behind(rows).on_acked(partial(done.append, "acknowledged"))
    assert done == []
    claims.reports = 1
    claims.settle()
    await settled()
    assert done == ["row", "next row", "acknowledged"]


def test_an_open_gate_holds_nothing_up_and_an_ended_one_writes_nothing() -> None:
    gate, done = RowGate(), list[str]()
    gate.run(partial(done.append, "row"))
    gate.end()
    gate.run(partial(done.append, "late"))
    assert done == ["row"]


@pytest.mark.asyncio
async def test_nobody_waits_for_rows_behind_a_gate() -> None:
    with pytest.raises(NotImplementedError):
        await RowGate().behind(TwinBarrier()).wait()


def event(op: str, at: int, **said: object) -> tuple[bytes, bytes]:
    return b"u-1", orjson.dumps({"op": op, "app": "news", "device": "d", "at": T0 - at, **said})


@pytest.mark.asyncio
@pytest.mark.parametrize("mirrored", [True, False])
async def test_a_mirrored_token_is_given_up_before_its_row_goes(mirrored: bool) -> None:
    kafka = TwinKafka(acks=False)
    harness = Harness(kafka, mirrored=frozenset({"news"} if mirrored else ()))
    await harness.take_over(HOME)
    said = {"platform": "fcm", "token": "t:APA91b" + "a" * 100, "topics": ["goals"]}
    await harness.change(event("register", 9, **said))
    kafka.acknowledge()
    await settled()
    batch = await harness.change(event("unregister", 5), event("register", 1, **said))
    put = [each.topic for _, each in kafka._pending]
    assert (DEVICE in put) is not mirrored
    assert TOKEN_CLAIM in put
    while kafka._pending:
        kafka.acknowledge()
        await settled()
    assert not batch.unfinished()
    assert len(harness.row_values("u-1")) == 1
    assert harness.committable(DEVICE_CHANGED, HOME) == 3
