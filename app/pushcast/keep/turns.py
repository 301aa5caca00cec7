"""Partitions take turns at letting go what is not urgent. It belongs to the event loop."""

from __future__ import annotations

import asyncio


class Turns:
    """Many partitions have a slice at one moment. All of them in a row would hold up what is urgent, of whatever
    partition, for as long as all of them take."""

    def __init__(self) -> None:
        self._is_taken = False

    @property
    def is_taken(self) -> bool:
        """Somebody has taken a slice, and nothing else has run since: wait for another turn of the loop."""
        return self._is_taken

    async def take(self) -> None:
        """A slice was taken. Returns when others have run, and when whoever waited has had the next turn."""
        self._is_taken = True
        try:
            await asyncio.sleep(0)
        finally:
            self._is_taken = False
        await asyncio.sleep(0)
