"""Takes what a cancelled campaign shows off its devices, where its cancel says so: of all users of a partition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final

from pushcast.keep.removing import Removing
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.stream.cancelling import Cancels
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.runner import Runner
from pushcast.stream.table import Table
from pushcast.wire.control import CampaignCancel
from pushcast.wire.recallable import Recallable, is_recallable

#: Rows between two looks at the outbox, and turns of the loop for others.
SLICE_ROWS: Final = 500
_START: Final = b""


class CampaignRecalls:
    """Of all partitions of one stage. It belongs to the event loop.

    What is asked for is known no more, so whoever looks again, after a kill or as a new owner, asks for the rest alone.
    What a device gets after that asks for itself (`Removing.offered`).
    """

    def __init__(
        self,
        rows: Rows,
        table: Table,
        outbox: Outbox,
        removing: Removing,
        cancels: Cancels,
        *,
        now_ms: Callable[[], int],
        room: Callable[[], Awaitable[None]],
        fatal: Fatal,
        call_later: CallLater | None = None,
    ) -> None:
        self._rows = rows
        self._table = table
        self._outbox = outbox
        self._removing = removing
        self._cancels = cancels
        self._now_ms = now_ms
        self._room = room
        self._fatal = fatal
        self._call_later = call_later

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs when a campaign was cancelled; wake it then."""
        what = f"keep: cancelled campaigns of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def _wait(self, tenure: KeepTenure) -> float | None:
        return 0.0 if self._new(tenure) else None

    def _new(self, tenure: KeepTenure) -> dict[str, CampaignCancel]:
        """Cancels of which nobody has looked what is to be taken back."""
        campaigns: Mapping[str, CampaignCancel] = self._cancels.state.campaigns
        return {name: each for name, each in campaigns.items() if each.remove and tenure.recalled.get(name) != each}

    async def _work(self, tenure: KeepTenure) -> None:
        campaigns = self._new(tenure)
        # What is in flight first: the table may have it in a place that was passed.
        await self._take_back(tenure, tenure.overlay.keys(), campaigns)
        last = _START
        while rows := self._table.rows_after(tenure.number, last, SLICE_ROWS):
            last = rows[-1][0]
            await self._take_back(tenure, [key for key, _ in rows], campaigns)
        ended = tenure.recalled.keys() - self._cancels.state.campaigns.keys()
        tenure.recalled = {name: each for name, each in tenure.recalled.items() if name not in ended} | campaigns

    async def _take_back(
        self, tenure: KeepTenure, keys: Iterable[bytes], campaigns: Mapping[str, CampaignCancel]
    ) -> None:
        await self._room()
        barrier = self._outbox.barrier()
        for key in keys:
            if is_recallable(key) and isinstance(row := self._rows.get(tenure, key), Recallable):
                self._removing.of_campaigns(tenure, barrier, key, row, campaigns, self._now_ms())
        barrier.on_acked(lambda: None)  # a refusal ends the process: it would stay on the devices
        await asyncio.sleep(0)
