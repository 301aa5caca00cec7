from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from pushcast.transport.app import make_app
from pushcast.transport.jumps import Jump, Jumps
from pushcast.transport.thread import standing


class State:
    """A partition as aiokafka has it."""

    def __init__(self, position: int | None, lso: int | None, highwater: int | None) -> None:
        self.has_valid_position = position is not None
        self.position, self.lso, self.highwater = position, lso, highwater


@pytest.mark.parametrize(
    ("state", "held"),
    [
        (State(5, 5, 9), True),
        (State(3, 5, 9), False),
        (State(9, 9, 9), False),
        (State(0, None, None), False),
    ],
)
def test_a_partition_is_held_where_the_log_goes_on_and_what_is_committed_does_not(state: State, held: bool) -> None:
    class Assignment:
        tps = frozenset({TP("t", 0)})

        def state_value(self, tp: TP) -> State:
            return state

    found = [TP("t", 0)] if held else []
    assert standing(Assignment(), [TP("t", 0)]) == ({TP("t", 0): state.position}, found)
    assert standing(Assignment(), []) == ({}, found), "that of a table has no worker"


def test_a_partition_without_a_position_stands_nowhere() -> None:
    class Assignment:
        tps = frozenset({TP("t", 0), TP("t", 1)})

        def state_value(self, tp: TP) -> State | None:
            return State(None, None, None) if tp.partition else None

    assert standing(Assignment(), [TP("t", 0), TP("t", 1)]) == ({}, [])
    assert standing(None, [TP("t", 0)]) == ({}, [])


async def test_a_consumers_thread_has_a_loop_that_takes_calls_from_another_thread(tmp_path: Path) -> None:
    async def ignore(*_: object) -> None:
        return

    app = make_app("group", bootstrap_servers="k:1", partitions=1, data_dir=tmp_path)
    consumer = cast(Any, app.transport).create_consumer(
        ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore
    )
    assert isinstance(consumer.thread.thread_loop, asyncio.SelectorEventLoop)
    assert consumer.thread._close_thread_loop_on_stop, "nobody else closes it"
    consumer.thread.thread_loop.close()


async def test_positions_that_are_settled_under_one_assignment_count_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ignore(*_: object, **__: object) -> None:
        return

    app = make_app("group", bootstrap_servers="k:1", partitions=1, data_dir=tmp_path)
    consumer = cast(Any, app.transport).create_consumer(
        ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore
    )
    thread, here, leases = consumer.thread, TP("t", 0), [object(), object()]
    monkeypatch.setattr(AIOKafkaConsumerThread, "on_partitions_assigned", ignore)
    monkeypatch.setattr(thread, "_lease", lambda: leases[0])
    monkeypatch.setattr(thread, "_ensure_consumer", object)
    consumer.flow_active = True
    thread._jumps = Jumps()
    thread._jumps.doubt(here, 40)
    await thread.on_partitions_assigned({here})
    assert thread._jumps._suspected == {}

    async def settle(_: object) -> dict[TP, Jump]:
        leases.reverse()  # a rebalance
        return {here: Jump(40, 0, cut=True)}

    before = leases[0]
    monkeypatch.setattr(thread._jumps, "settle", settle)
    fetched = await thread._fetch([], 0.0, 1)
    assert (fetched.lease is before, bool(fetched.jumps)) == (True, True)
    thread.thread_loop.close()
