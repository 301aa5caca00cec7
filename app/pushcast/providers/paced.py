"""Targets that wait for their turn at a provider with a pace: they leave in pieces, each when the pace lets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from pushcast.http2.leave import MayLeave
from pushcast.model.clock import Clock
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition, Part, Result
from pushcast.providers.verdict import NOT_SENT_IN_TIME


async def send_paced(
    group: asyncio.TaskGroup,
    pace: Pace,
    parts: Sequence[Part],
    may_leave: MayLeave,
    clock: Clock,
    send_now: Callable[[Sequence[Part], MayLeave], Coroutine[Any, Any, None]],
) -> None:
    """Starts a piece of the targets at a time; no more than one of these parts waits for its turn.

    Targets that expire meanwhile, or may not leave when their turn comes, are UNSENT. `send_now` sends the others.
    """
    left = sum(len(part.indices) for part in parts)
    rest = iter(parts)
    cut: Part | None = None
    while left:
        count, wait = pace.take(left, clock.monotonic_seconds())
        left -= count
        try:
            while wait > 0:
                await asyncio.sleep(wait)
                wait = pace.hold_seconds(clock.monotonic_seconds())
        except asyncio.CancelledError:
            pace.give_back(count)
            raise
        if not may_leave():  # nor is it the turn of the rest any more
            pace.give_back(count)
            _all_unsent(first_of(count + left, cut, rest)[0])
            return
        pieces, cut = first_of(count, cut, rest)
        now = clock.now_ms()
        in_time = [piece for part in pieces if (piece := _without_late(part, now, pace)).indices]
        if not in_time:
            continue
        if left:
            group.create_task(send_now(in_time, may_leave))
        else:  # the last piece, and often the only one: without a task
            await send_now(in_time, may_leave)


def first_of(count: int, cut: Part | None, rest: Iterator[Part]) -> tuple[list[Part], Part | None]:
    """Parts with `count` targets in all, and what is left of the one that had to be cut for that."""
    pieces: list[Part] = []
    while count:
        part = next(rest) if cut is None else cut
        size = len(part.indices)
        if size > count:
            pieces.append(part._replace(indices=part.indices[:count]))
            return pieces, part._replace(indices=part.indices[count:])
        pieces.append(part)
        cut = None
        count -= size
    return pieces, cut


def _all_unsent(parts: Sequence[Part]) -> None:
    for part in parts:
        part.on_results([Result(index, Disposition.UNSENT, NOT_SENT_IN_TIME) for index in part.indices])


def _without_late(part: Part, now_ms: int, pace: Pace) -> Part:
    message, expires_at = part.message, part.message.targets.expires_at
    late = [index for index in part.indices if expires_at[index] <= now_ms and not message.is_now_or_never(index)]
    if not late:
        return part
    pace.give_back(len(late))
    part.on_results([Result(index, Disposition.UNSENT, NOT_SENT_IN_TIME) for index in late])
    gone = frozenset(late)
    return part._replace(indices=[index for index in part.indices if index not in gone])
