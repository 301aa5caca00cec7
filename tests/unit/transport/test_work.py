"""What a stage asks the transport about its partitions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaError, LeaderNotAvailableError
from faust.types import TP as FaustTP

from pushcast.stream.batch import TP
from pushcast.stream.retrying import RETRIED
from pushcast.transport.tps import ours, theirs
from pushcast.transport.work import AppWork


def work(*, ends: dict[FaustTP, int] | KafkaError) -> AppWork:
    async def highwaters(*partitions: FaustTP) -> dict[FaustTP, int]:
        assert all(type(each) is FaustTP for each in partitions)
        if isinstance(ends, KafkaError):
            raise ends
        return ends

    consumer = SimpleNamespace(thread=SimpleNamespace(highwaters=highwaters))
    return AppWork(cast(Any, SimpleNamespace(consumer=consumer)), ["t"])


async def test_ends_are_told_by_partitions_of_ours() -> None:
    found = await work(ends={FaustTP("t", 1): 7}).ends([TP("t", 1)])
    assert found == {TP("t", 1): 7}
    assert {type(each) for each in found} == {TP}


async def test_an_error_of_the_client_is_one_that_a_stage_is_called_again_for() -> None:
    with pytest.raises(RETRIED, match="LeaderNotAvailableError"):
        await work(ends=LeaderNotAvailableError()).ends([TP("t", 1)])


def test_a_partition_of_faust_and_one_of_ours_find_each_other_in_a_dictionary() -> None:
    assert {TP("t", 1): "found"}[ours(FaustTP("t", 1))] == "found"
    assert {FaustTP("t", 1): "found"}[theirs(TP("t", 1))] == "found"
    assert FaustTP("t", 1) == TP("t", 1)


@pytest.mark.parametrize(
    ("lag_records", "oldest_at_ms", "may"),
    [(0, None, False), (3, 99, True), (3, 100, True), (3, 101, False), (3, None, True), (None, None, True)],
)
def test_what_is_behind_and_not_fetched_may_be_of_any_time(
    lag_records: int | None, oldest_at_ms: int | None, may: bool
) -> None:
    state = SimpleNamespace(lag_records=lag_records, oldest_unfinished_at_ms=oldest_at_ms)
    owned = TP("t", 1)
    consumer = SimpleNamespace(partitions={owned: owned}, state_of=lambda _: state)
    asked = AppWork(cast(Any, SimpleNamespace(consumer=consumer)), ["t"])
    assert asked.may_hold_before(owned, 100) is may
    assert not asked.may_hold_before(TP("t", 2), 100), "nobody's here"
