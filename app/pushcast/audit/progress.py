"""How a broadcast stands: recomputed from its legs and receipts, never added up from a previous answer. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from pushcast.model.broadcast import size_class
from pushcast.model.words import Outcome, Platform, Reason, Source
from pushcast.wire.answers.legs import Leg
from pushcast.wire.answers.receipt_reader import ReadReceipt
from pushcast.wire.answers.receipts import Planned, is_of_broadcast, takes_place
from pushcast.wire.times import rfc3339

#: What `pushcast broadcast` calls the state when a partition's walk ended for this reason.
_ENDED: Mapping[str, str] = {
    Reason.BROADCAST_STOPPED: "stopped",
    Reason.STOP_IF: "stopped",
    Reason.EXPIRED: "expired",
}
_SUMMED = ("scanned", "matched", "users", "held", "held_out", "other", *Platform)
#: Last legs behind which more of the broadcast comes.
_GOES_ON = (None, Reason.SCHEDULED)


#: Partition and offset of a record.
Place: TypeAlias = tuple[int, int]


class _Released(NamedTuple):
    """What became of one record that the keeper let go. `held`: 1 when a part of it went back."""

    run: int
    platforms: Counter[str]
    other: int
    held: int


@dataclass(slots=True)
class Progress:
    """One broadcast of one lane. Legs and receipts may come before the orders that they belong to.

    `orders`: by partition and offset, the step of each of its orders; those of copies and duplicates are another's.
    `steps`: how many it goes in; 1 for one without. `via`: whose own fan-out it goes through; empty: ours.
    """

    id: str
    lane: str
    partitions: int
    orders: dict[tuple[int, int], int] = field(default_factory=dict)
    steps: int = 1
    held: bool = False
    via: str = ""
    _legs: dict[tuple[int, int, int], Leg] = field(default_factory=dict)  # by partition, order and number
    _ends: dict[bytes, tuple[int, str]] = field(default_factory=dict)  # by delivery: run, outcome
    _alike: dict[tuple[int, str], tuple[int, str]] = field(default_factory=dict)  # each of these pairs once
    _counts: Counter[str] = field(default_factory=Counter)  # of the outcomes
    _released: dict[tuple[int, int], _Released] = field(default_factory=dict)  # by partition and offset of what was due
    _rows: dict[tuple[int, int], int] = field(default_factory=dict)  # by partition and order: of the partition, about
    _early: dict[Place, list[Leg | ReadReceipt]] = field(default_factory=dict)

    def order(self, partition: int, offset: int, step: int) -> None:
        """An order of it."""
        self.orders[partition, offset] = step
        for early in self._early.pop((partition, offset), ()):
            if isinstance(early, Leg):
                self.leg(partition, early)
            else:
                self.receipt(early, (partition, offset))

    def leg(self, partition: int, leg: Leg, rows: int = 0) -> None:
        """A leg of whatever walk. `rows`: of its partition, about; 0: not known."""
        if leg.lane != self.lane or leg.broadcast != self.id or leg.source != Source.WALK:
            return
        place = partition, leg.source_offset
        if rows:
            self._rows[place] = rows
        if place in self.orders:
            self._legs[*place, leg.leg] = leg
        else:
            self._early.setdefault(place, []).append(leg)

    def receipt(self, receipt: ReadReceipt, place: Place) -> None:
        """A receipt of whatever delivery, which was planned for the record at `place`; of a delivery the last run
        counts."""
        if receipt.notification_id != self.id or receipt.section.lane != self.lane or not _is_part(receipt):
            return
        if receipt.source == Source.WALK and place not in self.orders:
            self._early.setdefault(place, []).append(receipt)
            return
        known = self._ends.get(receipt.delivery)
        end = receipt.run, receipt.section.outcome
        if takes_place(receipt.run, known):
            if known is not None:
                self._counts[known[1]] -= 1
            self._counts[end[1]] += 1
            self._ends[receipt.delivery] = self._alike.setdefault(end, end)

    def released(self, partition: int, planned: Planned) -> None:
        """A planned record, of whatever the keeper let go; for the same account the last run counts."""
        if planned.lane != self.lane or planned.source != Source.DUE:
            return
        rows = zip(planned.source_offset, planned.notification_id, planned.other, planned.facts, strict=True)
        for at, (offset, broadcast, other, facts) in enumerate(rows):
            known = self._released.get((partition, offset))
            if broadcast == self.id and facts.broadcast and (known is None or planned.run >= known.run):
                counts = Counter({name: column[at] for name, column in planned.platforms.items() if column[at]})
                self._released[partition, offset] = _Released(planned.run, counts, other, facts.held)

    @property
    def waiting(self) -> int:
        """Records that the keeper still holds: one for a user, and in a split by device one for each variant."""
        again = sum(each.held for each in self._released.values())
        return sum(leg.held for leg in self._legs.values()) + again - len(self._released)

    @property
    def step(self) -> int:
        """The newest step that has orders."""
        return max(self.orders.values(), default=0)

    @property
    def _last(self) -> dict[int, Leg]:
        """By partition, the last leg of the newest step."""
        step = self.step
        return {
            partition: leg
            for (partition, offset, _), leg in self._legs.items()
            if leg.last and self.orders[partition, offset] == step
        }

    @property
    def partitions_done(self) -> int:
        """Partitions whose walk is over, of the newest step."""
        return len(self._last)

    @property
    def walked(self) -> bool:
        """Whether every partition's walk is over, of every step: before that every figure is `so far`."""
        last = self._last
        if len(last) < self.partitions:
            return False
        return self.step + 1 >= self.steps or any(leg.reason not in _GOES_ON for leg in last.values())

    @property
    def scanned(self) -> int:
        """Rows that were tested."""
        return sum(leg.scanned for leg in self._legs.values())

    @property
    def rows(self) -> int | None:
        """How many rows these walks test in all: exact where all are over, else about; None: not known yet."""
        scanned: Counter[tuple[int, int]] = Counter()
        over: set[tuple[int, int]] = set()
        for (partition, offset, _), leg in self._legs.items():
            scanned[partition, offset] += leg.scanned
            if leg.last:
                over.add((partition, offset))
        known = [
            scanned[place] if place in over else max(scanned[place], self._rows[place])
            for place in self.orders
            if place in over or place in self._rows
        ]
        # Users are spread by their hash: partitions of which nothing is known yet are like the others.
        return round(sum(known) * max(len(self.orders), self.partitions) / len(known)) if known else None

    def passed_at(self, partition: int, user: str) -> int | None:
        """When the cursor passed a user, in milliseconds; None: it has not, or not in a step that takes the user in.

        The order of users is that of their UTF-8 bytes, as the walk's."""
        place = user.encode()
        found = [
            leg.at
            for (at, _, _), leg in self._legs.items()
            if at == partition and leg.from_user.encode() < place and (leg.last or place <= leg.to_user.encode())
        ]
        return max(found, default=None)

    @property
    def planned(self) -> int:
        """Deliveries, those of what the keeper let go among them; of a count, those that a broadcast would make."""
        walked = sum(leg.planned for leg in self._legs.values())
        return walked + sum(each.platforms.total() + each.other for each in self._released.values())

    @property
    def accepted(self) -> int:
        """Deliveries that providers took."""
        return self._counts[Outcome.ACCEPTED]

    @property
    def ended(self) -> int:
        """Deliveries with a receipt."""
        return len(self._ends)

    @property
    def outcomes(self) -> dict[str, str]:
        """How deliveries ended, by delivery id in hex."""
        return {delivery.hex(): outcome for delivery, (_, outcome) in self._ends.items()}

    @property
    def finished(self) -> bool:
        """Every partition's walk is over, nothing waits, and every delivery has ended."""
        count_only = any(leg.count_only for leg in self._legs.values())
        return self.walked and (count_only or (self.waiting <= 0 and self.ended >= self.planned))

    @property
    def state(self) -> str:
        """spreading, walking, held, stopped, expired or done; a reason of the settler's when it planned nothing."""
        if not self.walked:
            if not self.orders:
                return "spreading"
            if self.held:
                return "held"
            return "scheduled" if any(leg.reason == Reason.SCHEDULED for leg in self._last.values()) else "walking"
        reason = next((leg.reason for leg in self._last.values() if leg.reason), None)
        return "done" if reason is None else _ENDED.get(reason, reason)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        legs = self._legs.values()
        sums: Counter[str] = Counter()
        variants: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for leg in legs:
            sums.update({name: getattr(leg, name) for name in _SUMMED})
            variants.update(leg.variants)
            reasons.update(leg.reasons)
        for each in self._released.values():
            sums.update(each.platforms)
        at = max((leg.at for leg in legs), default=None)
        # Its provider tells nobody how many devices follow.
        reach = {"via": self.via, "reach": "unknown"} if self.via else {}
        return {
            "id": self.id,
            "lane": self.lane,
            "state": self.state,
            "reason": next((leg.reason for leg in self._last.values() if leg.reason), None),
            "step": self.step + 1,
            "steps": self.steps,
            "partitions_done": self.partitions_done,
            "partitions": self.partitions,
            "planned": self.planned,
            "per_platform": {str(platform): sums[platform] for platform in Platform if sums[platform]},
            "per_variant": dict(sorted(variants.items())),
            "held": sums["held"],
            "waiting": max(0, self.waiting),
            "held_out": sums["held_out"],
            "matched": sums["matched"],
            "users": sums["users"],
            "left_out": dict(sorted(reasons.items())),
            "scanned": sums["scanned"],
            "rows": self.rows,
            **reach,
            "size_class": size_class(self.planned),
            "ended": self.ended,
            "receipts": {outcome: count for outcome, count in sorted(self._counts.items()) if count},
            "at": None if at is None else rfc3339(at),
        }


def _is_part(receipt: ReadReceipt) -> bool:
    if receipt.source == Source.WALK:
        return True
    delivery, user = receipt.delivery.hex(), receipt.user.decode()
    return is_of_broadcast(receipt.source, delivery, receipt.notification_id, user, receipt.app, receipt.device)
