"""Records that a keeper let go, at a planner."""

from __future__ import annotations

import json
from typing import Any

from pushcast.model.words import Lane
from pushcast.stream.batch import TP, Batch, Record
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.headers import origin
from pushcast.wire.waiting.held import Released, released_headers
from twins.kafka import OPEN, Produced, record, settled
from twins.plan import T0, PlanHarness

DUE = topics.due(Lane.NORMAL)


class Due:
    """Of partition 3 of the normal lane, whose planner the harness is."""

    def __init__(self, harness: PlanHarness, user: str) -> None:
        self.harness = harness
        self.tracker = Tracker(0, OPEN)
        self._user = user

    def record(
        self,
        offset: int,
        event: bytes | dict[str, Any],
        *,
        closes: str = "",
        epoch: int = 1,
        timer: str = "normal|0|k",
        released: Released = Released(T0 - 5, None),  # noqa: B008 - immutable
    ) -> Record:
        headers = released_headers(origin("keep", 3, epoch), timer, released, closes, None)
        value = event if isinstance(event, bytes) else json.dumps(event).encode()
        return record(DUE, 3, offset, self._user.encode(), value, headers, T0)

    async def feed(self, *records: Record) -> None:
        segment = self.tracker.hand_over(records, self.tracker.arrive(records))
        await self.harness.stage.handle(Batch(TP(DUE, 3), self.tracker, segment, lambda: None))
        await settled()
        await self.harness.acknowledge()

    @property
    def letters(self) -> list[Produced]:
        """Dead letters of these records."""
        return [each for each in self.harness.outbox.log if each.topic == topics.dead_letter(DUE)]
