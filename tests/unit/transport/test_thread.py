from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError

from pushcast.transport.thread import retrieved


async def test_a_commit_that_was_given_up_ends_without_a_word() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    answer = asyncio.Event()

    async def commit(*_: object) -> None:
        await answer.wait()
        raise GroupCoordinatorNotAvailableError

    waiting = asyncio.ensure_future(asyncio.wait_for(asyncio.shield(retrieved(commit)("assignment", {})), 0.001))
    with pytest.raises(TimeoutError):
        await waiting
    answer.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert told == []


async def test_who_waits_for_a_commit_hears_its_error() -> None:
    async def commit(assignment: str, offsets: dict[str, int]) -> None:
        assert (assignment, offsets) == ("assignment", {"offset": 1})
        raise GroupCoordinatorNotAvailableError

    with pytest.raises(GroupCoordinatorNotAvailableError):
        await asyncio.shield(retrieved(commit)("assignment", {"offset": 1}))
