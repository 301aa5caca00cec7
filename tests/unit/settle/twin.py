"""SETTLE on a Kafka of the test's own: its acknowledgements, its timers, its clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from pushcast.handover.exact import Inexact
from pushcast.model.batch import SendBatch
from pushcast.settle.agent import SettleStage
from pushcast.settle.passes import Intervals
from pushcast.settle.recheck import Recheck
from pushcast.stream.batch import TP
from pushcast.stream.cancelling import Cancels
from pushcast.stream.tracker import Record
from pushcast.wire import topics
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.sending.retries import retry_record
from twins.stage import TimedStage
from unit.send.twin import T0, TwinOutbox, record

RUNG = topics.retry("10s")
LONGEST_SECONDS = 2000.0
PASS_SECONDS, PROBE_SECONDS = 60.0, 5.0


def waiting(
    offset: int, batch: SendBatch, due_at: int, *, topic: str = RUNG, partition: int = 3, doubtful: bool = False
) -> Record:
    """A record as SEND writes it."""
    value, headers = retry_record(
        lane=batch.lane,
        platform=batch.platform,
        messages=batch.messages,
        run=batch.run,
        first_seen_at=T0 - 5,
        rounds_made=2,
        due_at=due_at,
        doubtful=doubtful,
        sent_from="pushcast-send-apns-urgent|7",
        carried=[("traceparent", b"00-1")],
    )
    return record(topic, partition, offset, value, None, headers)


class Harness(TimedStage):
    """A stage on the twins."""

    stage: SettleStage

    def __init__(
        self,
        acks: bool = True,
        control: ControlState | None = None,
        cancels: Cancels | None = None,
        recheck: Recheck | None = None,
    ) -> None:
        super().__init__(T0)
        self.outbox = TwinOutbox(acks)
        self.counters: Counter[tuple[str, str]] = Counter()
        self.stage = SettleStage(
            outbox=self.outbox,
            clock=self.clock,
            longest_seconds=LONGEST_SECONDS,
            exact=Inexact(),
            counters=self.counters,
            fatal=self.end_process,
            call_later=self.call_later,
            control=control,
            intervals=Intervals(PASS_SECONDS, PROBE_SECONDS),
            cancels=cancels,
            recheck=recheck,
        )
        self.stage.work = cast(Any, self)
        self.end = 0  # of every parked partition, when a pass begins

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(partitions, self.end)

    def low(self, topic: str = RUNG, partition: int = 3) -> int:
        """The offset that Kafka would be told."""
        return self.trackers[TP(topic, partition)].low
