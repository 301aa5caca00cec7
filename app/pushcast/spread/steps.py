"""Whether a broadcast in steps goes on: what legs and receipts say of the step that was walked. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from sys import intern
from typing import Any, Final

from pushcast.model.broadcast import Step
from pushcast.model.words import Outcome, Platform, Reason, Source
from pushcast.wire.answers.legs import Leg
from pushcast.wire.answers.receipts import takes_place
from pushcast.wire.events.orders import Order, steps_of

#: Deliveries that are remembered; of more a sample is, which is even because delivery ids are hashes.
MAX_DELIVERIES: Final = 100_000
#: Of the deliveries that a step planned so many must have ended before it is judged.
LEAST_ENDED: Final = 0.5


class StepTally:
    """One step. Feed it legs and receipts of whatever broadcast, each record once."""

    def __init__(self, lane: str, order: Order, partitions: int) -> None:
        self._lane = lane
        self._broadcast = order.broadcast
        self._step = steps_of(order).step
        self._partitions = partitions
        self._walked: set[int] = set()
        self.planned = 0
        self.walked_at = 0  # when the last of its last legs was written, milliseconds
        self._offsets: dict[int, int] = {}  # by partition, of the step's order
        self._planned: Counter[str] = Counter()  # by platform
        self._outcomes: dict[str, tuple[int, str, str]] = {}  # by delivery: run, outcome, platform
        self._halved = 0  # how often the sample was
        #: Platforms that nobody waits for, because they have no senders.
        self.left_out: frozenset[str] = frozenset()

    def leg(self, partition: int, leg: Leg) -> None:
        """A leg of a partition."""
        mine = leg.lane == self._lane and leg.broadcast == self._broadcast and leg.step == self._step
        if not mine or leg.source != Source.WALK or leg.count_only or leg.reason == Reason.DUPLICATE:
            return
        self.planned += leg.planned
        self._planned.update({platform: getattr(leg, platform) for platform in Platform})
        self._offsets[partition] = leg.source_offset
        if leg.last:
            self._walked.add(partition)
            self.walked_at = max(self.walked_at, leg.at)

    @property
    def walked(self) -> bool:
        """Whether all partitions have passed it."""
        return len(self._walked) == self._partitions

    def receipt(self, receipt: Mapping[str, Any]) -> None:
        """A receipt; the legs must be there before. Of a delivery the last run counts."""
        if receipt["notification_id"] != self._broadcast or receipt["lane"] != self._lane:
            return
        if receipt["source"] != Source.WALK:
            return
        if self._offsets.get(receipt["source_partition"]) != receipt["source_offset"]:
            return
        delivery = receipt["delivery_id"]
        if not self._sampled(delivery):
            return
        known = self._outcomes.get(delivery)
        if takes_place(receipt["run"], None if known is None else known[:2]):
            self._outcomes[delivery] = receipt["run"], receipt["outcome"], intern(receipt["platform"] or "")
        while len(self._outcomes) > MAX_DELIVERIES:
            self._halved += 1
            self._outcomes = {each: found for each, found in self._outcomes.items() if self._sampled(each)}

    def _sampled(self, delivery: str) -> bool:
        return not self._halved or int(delivery[:8], 16) < 2 ** (32 - self._halved)

    @property
    def ended(self) -> int:
        """Deliveries with a receipt; of a sample, what it stands for."""
        return len(self._outcomes) << self._halved

    def share(self, outcome: Outcome) -> float:
        """Of the deliveries that have ended."""
        counts = Counter(outcome for _, outcome, _ in self._outcomes.values())
        return counts[outcome] / max(1, len(self._outcomes))

    @property
    def behind(self) -> list[str]:
        """Platforms of which less than half of the deliveries have ended."""
        ended = self._ended_on()
        return [name for name, planned in self._planned.items() if ended[name] < LEAST_ENDED * planned]

    @property
    def has_enough(self) -> bool:
        """Whether enough has ended to judge by: half of what was planned where there are senders. Where there are
        none at all, nothing has."""
        waited_for = {name: planned for name, planned in self._planned.items() if name not in self.left_out}
        planned, ended = sum(waited_for.values()), self._ended_on()
        return bool(planned) and sum(ended[name] for name in waited_for) >= LEAST_ENDED * planned

    def _ended_on(self) -> Counter[str]:
        ended = Counter(platform for *_, platform in self._outcomes.values())
        return Counter({name: count << self._halved for name, count in ended.items()})


def asks_receipts(step: Step) -> bool:
    """Whether receipts decide about the step behind this one."""
    return step.stop_if.invalid_share is not None or step.stop_if.rejected_share is not None


def judged(step: Step, tally: StepTally, now_ms: int) -> bool | None:
    """Whether the step behind this one begins; None: it cannot be told yet."""
    if not tally.walked or now_ms < tally.walked_at + step.wait_seconds * 1000:
        return None
    limits = ((Outcome.INVALID, step.stop_if.invalid_share), (Outcome.REJECTED, step.stop_if.rejected_share))
    if tally.planned and asks_receipts(step):
        if not tally.has_enough:
            return None
        return all(limit is None or tally.share(outcome) <= limit for outcome, limit in limits)
    return True
