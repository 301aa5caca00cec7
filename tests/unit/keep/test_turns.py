"""Partitions that let much go at one moment."""

from __future__ import annotations

import asyncio

from pushcast.keep.turns import Turns


async def slices(turns: Turns, name: str, taken: list[str], count: int = 2) -> None:
    while count:
        if turns.is_taken:
            await asyncio.sleep(0)
            continue
        taken.append(name)
        count -= 1
        await turns.take()


async def test_what_is_urgent_runs_between_the_slices_of_any_two_partitions() -> None:
    turns, taken = Turns(), list[str]()
    partitions = [asyncio.create_task(slices(turns, name, taken)) for name in "abc"]
    while not all(task.done() for task in partitions):
        taken.append("urgent")
        await asyncio.sleep(0)
    assert "".join(taken).replace("urgent", " ").split() == list("abcabc"), "one in each turn of the loop, by turns"


async def test_one_that_ends_with_its_slice_leaves_the_turn_to_others() -> None:
    turns, taken = Turns(), list[str]()
    gone = asyncio.create_task(slices(turns, "a", taken))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await slices(turns, "b", taken)
    assert taken == ["a", "b", "b"]
