"""What an audit counts: one notification's books, and the sums over all of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pushcast.model.words import Outcome

MAX_LISTED = 100
OUTCOMES = tuple(str(outcome) for outcome in Outcome)


class AccountKey(NamedTuple):
    """An account within its partition."""

    lane: str
    source: int
    offset: int
    notification: str


#: Kafka time, in milliseconds, of the first record of each send topic (platform, lane) whose log is there from its very
#: beginning; infinite where such a log is empty.
Begun = Mapping[tuple[str, str], float]


class DeliveryEnd(NamedTuple):
    """How a delivery ended in a run."""

    run: int
    outcome: str


@dataclass(slots=True)
class Account:
    """One notification's books, or those of one partition of a broadcast."""

    planned: int | None = None  # None: no planned record was read
    legs: dict[int, int] = field(default_factory=dict)  # of a walk: planned by leg
    over: bool = True  # False: a walk whose last leg was not read
    expires_at_ms: int = 0  # of a walk; 0: not known
    run: int = 0  # of the planned record
    planned_at_ms: int = 0  # Kafka time of the planned record
    platforms: tuple[str, ...] = ()  # that deliveries were planned for
    ended: dict[bytes, DeliveryEnd] = field(default_factory=dict)  # by delivery id

    @property
    def open(self) -> int:
        """Planned deliveries without a terminal receipt."""
        return max(0, (self.planned or 0) - len(self.ended))

    def went_with_its_topic(self, lane: str, begun: Begun) -> bool:
        """Whether a send topic of it is another log than the one that its deliveries were written to: one that was made
        anew begins later than they were planned. A log that lost its beginning to retention says nothing."""
        return any(begun.get((platform, lane), 0) > self.planned_at_ms for platform in self.platforms)


@dataclass(slots=True)
class Totals:
    """Sums over all accounts that were judged, in the words of the contract."""

    planned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unaccounted: int = 0
    lost_with_topic: int = 0  # deliveries that stood in a send topic which was deleted and made again
    copies_of_receipts: int = 0
    notifications: int = 0
    not_judgeable: int = 0
    void_records: int = 0  # written by stages that had lost their partition; they do not count
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)  # events never planned: topic and reason
    unbalanced: list[dict[str, Any]] = field(default_factory=list)
    walking: list[dict[str, Any]] = field(default_factory=list)  # broadcasts that have not ended in a partition

    @property
    def balanced(self) -> bool:
        """Everything planned has ended, and nothing ended that was not planned."""
        ended = sum(self.outcomes.values()) + self.lost_with_topic
        return self.unaccounted == 0 and self.planned == ended and not self.unbalanced

    def to_dict(self) -> dict[str, Any]:
        """The contract's account keys."""
        return {
            "planned": self.planned,
            **{name: self.outcomes.get(name, 0) for name in OUTCOMES},
            "unaccounted": self.unaccounted,
            "lost_with_topic": self.lost_with_topic,
            "copies_of_receipts": self.copies_of_receipts,
            "notifications": self.notifications,
            "not_judgeable": self.not_judgeable,
            "void_records": self.void_records,
            "dead_letters": self.dead_letters.total(),
            "dead_letters_by_reason": [
                {"topic": topic, "reason": reason, "letters": count}
                for (topic, reason), count in sorted(self.dead_letters.items())
            ],
            "unbalanced": self.unbalanced,
            "walking": self.walking,
            "balanced": self.balanced,
        }
