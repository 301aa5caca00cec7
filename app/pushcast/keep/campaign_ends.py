"""Ends what waits of a cancelled campaign, and takes what it shows off its devices where the cancel says so: of all
users of a partition."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from pushcast.keep import rules
from pushcast.keep.joining import Joining, is_leaving
from pushcast.keep.ports import KeepPorts
from pushcast.keep.removing import Removing
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.errors import InvalidInput
from pushcast.stream.cancelling import Cancels
from pushcast.stream.ports import Barrier
from pushcast.stream.runner import Runner
from pushcast.wire.control.control import CampaignCancel
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.waiting.recallable import Recallable, is_recallable
from pushcast.wire.waiting.timers import is_timer, user_key

#: Rows between two looks at the outbox, and turns of the loop for others.
SLICE_ROWS: Final = 500
_START: Final = b""


class CampaignEnds:
    """Of all partitions of one stage. It belongs to the event loop.

    What has ended, or was asked for, is known no more, so whoever looks again, after a kill or as a new owner, finds
    the rest alone. What is held later ends when it is due; what a device gets later asks for itself.
    """

    def __init__(
        self,
        ports: KeepPorts,
        rows: Rows,
        removing: Removing,
        joining: Joining,
        cancels: Cancels,
        threads: ThreadReader,
    ) -> None:
        self._rows = rows
        self._table = ports.table
        self._outbox = ports.outbox
        self._removing = removing
        self._joining = joining
        self._threads = threads
        self._cancels = cancels
        self._now_ms = ports.clock.now_ms
        self._room = ports.room
        self._fatal = ports.fatal
        self._call_later = ports.call_later

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs when a campaign was cancelled; wake it then."""
        what = f"keep: cancelled campaigns of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def _wait(self, tenure: KeepTenure) -> float | None:
        return 0.0 if self._new(tenure) else None

    def _new(self, tenure: KeepTenure) -> dict[str, CampaignCancel]:
        """Cancels for which nobody has looked through the rows."""
        campaigns: Mapping[str, CampaignCancel] = self._cancels.state.campaigns
        return {name: each for name, each in campaigns.items() if tenure.recalled.get(name) != each}

    async def _work(self, tenure: KeepTenure) -> None:
        campaigns = self._new(tenure)
        # What is in flight first: the table may have it in a place that was passed.
        await self._look_at(tenure, tenure.overlay.keys(), campaigns)
        last = _START
        while rows := self._table.rows_after(tenure.number, last, SLICE_ROWS):
            last = rows[-1][0]
            await self._look_at(tenure, [key for key, _ in rows], campaigns)
        ended = tenure.recalled.keys() - self._cancels.state.campaigns.keys()
        tenure.recalled = {name: each for name, each in tenure.recalled.items() if name not in ended} | campaigns

    async def _look_at(
        self, tenure: KeepTenure, keys: Sequence[bytes], campaigns: Mapping[str, CampaignCancel]
    ) -> None:
        recalled = {name: each for name, each in campaigns.items() if each.remove}
        for start in range(0, len(keys), SLICE_ROWS):
            await self._room()
            barrier = self._outbox.barrier()
            for key in keys[start : start + SLICE_ROWS]:
                if is_timer(key):
                    self._end(tenure, barrier, key, campaigns)
                elif recalled and is_recallable(key) and isinstance(row := self._rows.get(tenure, key), Recallable):
                    self._removing.of_campaigns(tenure, barrier, key, row, recalled, self._now_ms())
            barrier.on_acked(lambda: None)  # a refusal ends the process: it would leave, or stay on the devices
            await asyncio.sleep(0)

    def _end(self, tenure: KeepTenure, barrier: Barrier, key: bytes, campaigns: Mapping[str, CampaignCancel]) -> None:
        """One that waits, unless it leaves at this moment."""
        timer = self._rows.timer(tenure, key)
        ended = None if timer is None or timer.kind else rules.cancelled(timer)
        if timer is None or ended is None or is_leaving(tenure, key):
            return
        if self._joining.leaves(tenure, user_key(key).decode(), timer):
            return
        try:
            label = self._threads.campaign(timer.event)
        except InvalidInput:
            return  # its planner could read it, and judges it when it is due
        cancel = None if label is None else campaigns.get(label.campaign)
        if label is None or cancel is None:
            return
        if cancel.covers(timer.written_at if label.created_at is None else label.created_at):
            self._rows.put(tenure, barrier, key, ended)
