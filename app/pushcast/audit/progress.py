"""How a broadcast stands: recomputed from its legs and receipts, never added up from a previous answer. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pushcast.model.words import Platform, Reason, Source
from pushcast.wire.legs import Leg
from pushcast.wire.times import rfc3339

#: What `pushcast broadcast` calls the state when a partition's walk ended for this reason.
_ENDED = {Reason.BROADCAST_STOPPED: "stopped", Reason.EXPIRED: "expired"}
_SIZES = ((1_000, "S"), (50_000, "M"), (1_000_000, "L"))


@dataclass(slots=True)
class Progress:
    """One broadcast of one lane. `intake_offset`: which event of that id; legs of copies and duplicates are another's.

    `orders`: by partition, the offset of its order, as far as it was read.
    """

    id: str
    lane: str
    partitions: int
    orders: dict[int, int] = field(default_factory=dict)
    held: bool = False
    _legs: dict[tuple[int, int], Leg] = field(default_factory=dict)  # by partition and number
    _outcomes: dict[str, tuple[int, str]] = field(default_factory=dict)  # by delivery: run, outcome

    def leg(self, partition: int, leg: Leg) -> None:
        """A leg of whatever walk."""
        if leg.lane == self.lane and self.orders.get(partition) == leg.source_offset and leg.source == Source.WALK:
            self._legs[partition, leg.leg] = leg

    def receipt(self, receipt: dict[str, Any]) -> None:
        """A receipt of whatever delivery; of a delivery the last run counts."""
        if receipt["notification_id"] != self.id or receipt["lane"] != self.lane or receipt["source"] != Source.WALK:
            return
        if self.orders.get(receipt["source_partition"]) != receipt["source_offset"]:
            return
        run, _ = self._outcomes.get(receipt["delivery_id"], (-1, ""))
        if receipt["run"] >= run:
            self._outcomes[receipt["delivery_id"]] = receipt["run"], receipt["outcome"]

    @property
    def partitions_done(self) -> int:
        """Partitions whose walk is over."""
        return len({partition for (partition, _), leg in self._legs.items() if leg.last})

    @property
    def walked(self) -> bool:
        """Whether every partition's walk is over: before that every figure is `so far`."""
        return self.partitions_done == self.partitions

    @property
    def planned(self) -> int:
        """Deliveries; of a count, those that a broadcast would make."""
        return sum(leg.planned for leg in self._legs.values())

    @property
    def ended(self) -> int:
        """Deliveries with a receipt."""
        return len(self._outcomes)

    @property
    def outcomes(self) -> dict[str, str]:
        """How deliveries ended, by delivery id in hex."""
        return {delivery: outcome for delivery, (_, outcome) in self._outcomes.items()}

    @property
    def finished(self) -> bool:
        """Every partition's walk is over and every delivery has ended."""
        count_only = any(leg.count_only for leg in self._legs.values())
        return self.walked and (count_only or self.ended >= self.planned)

    @property
    def state(self) -> str:
        """spreading, walking, held, stopped, expired or done; a reason of the settler's when it planned nothing."""
        if not self.walked:
            if not self.orders:
                return "spreading"
            return "held" if self.held else "walking"
        for leg in self._legs.values():
            if leg.last and leg.reason:
                return _ENDED.get(Reason(leg.reason), leg.reason) if leg.reason in set(Reason) else leg.reason
        return "done"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        legs = self._legs.values()
        sums: Counter[str] = Counter()
        variants: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for leg in legs:
            sums.update({name: getattr(leg, name) for name in ("scanned", "matched", "held_out", "other", *Platform)})
            variants.update(leg.variants)
            reasons.update(leg.reasons)
        at = max((leg.at for leg in legs), default=None)
        return {
            "id": self.id,
            "lane": self.lane,
            "state": self.state,
            "partitions_done": self.partitions_done,
            "partitions": self.partitions,
            "planned": self.planned,
            "per_platform": {str(platform): sums[platform] for platform in Platform if sums[platform]},
            "per_variant": dict(sorted(variants.items())),
            "held_out": sums["held_out"],
            "matched": sums["matched"],
            "left_out": dict(sorted(reasons.items())),
            "scanned": sums["scanned"],
            "size_class": next((name for limit, name in _SIZES if self.planned < limit), "XL"),
            "ended": self.ended,
            "receipts": dict(sorted(Counter(outcome for _, outcome in self._outcomes.values()).items())),
            "at": None if at is None else rfc3339(at),
        }
