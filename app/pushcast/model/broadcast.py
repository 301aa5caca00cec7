"""A broadcast: one event for every device of an audience."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pushcast.model.audience import Node
from pushcast.model.device import AddressKind
from pushcast.model.ids import bucket
from pushcast.model.notification import Notification
from pushcast.model.words import Platform

#: How a delivery stands that has no receipt.
UNFINISHED: Final = "unfinished"


class BroadcastPace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a broadcast may go, one of the two: the whole of it spread over a time, or a rate."""

    over_seconds: int | None = None
    per_second: int | None = None


NO_PACE: Final = BroadcastPace()
_SIZES: Final = ((1_000, "S"), (50_000, "M"), (1_000_000, "L"))


def size_class(deliveries: int) -> str:
    """S, M, L or XL: below a thousand, 50,000, a million, and above."""
    return next((name for limit, name in _SIZES if deliveries < limit), "XL")


class Variant(msgspec.Struct, frozen=True):
    """A share of the audience, of 10,000, and what it gets."""

    name: str
    share: int
    note: Notification


class Split(msgspec.Struct, frozen=True):
    """Who gets what: buckets from 0 on go to the variants in their order; those behind get nothing."""

    unit: Literal["user", "device"]
    salt: str
    holdout: int
    variants: tuple[Variant, ...]

    def of(self, user: str, row_key: bytes) -> Variant | None:
        """None: held out."""
        place = bucket(self.salt, user if self.unit == "user" else row_key.decode())
        for variant in self.variants:
            place -= variant.share
            if place < 0:
                return variant
        return None


class NotTo(msgspec.Struct, frozen=True):
    """Devices that had an earlier broadcast are left out: those whose delivery stands so.

    `outcomes`: of receipts, and UNFINISHED for a delivery without one. `since_ms`: Kafka's time of the earlier one.
    """

    broadcast: str
    outcomes: frozenset[str]
    since_ms: int


class StopIf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares, of the deliveries of a step that have ended, above which no further step begins."""

    invalid_share: float | None = None
    rejected_share: float | None = None


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pass over the audience. `share`: of 10,000 buckets of users, up to where it goes; it begins where the one
    before ended. `wait_seconds`: from its last leg to the decision about the next one."""

    share: int
    wait_seconds: int = 0
    stop_if: StopIf = StopIf()


class Instant(msgspec.Struct, frozen=True, array_like=True):
    """When a broadcast with a time goes to a part of its devices. Times are milliseconds since the epoch.

    `zones`: of the devices that it goes to; None: to all. `others`: also to those whose zone nobody knows.
    """

    at: int
    expires_at: int
    zones: list[str] | None = None
    others: bool = False


class Via(msgspec.Struct, frozen=True):
    """The provider itself knows who is meant: one request, and one delivery. `address`: what the request names."""

    platform: Platform
    kind: AddressKind
    address: str


class Broadcast(msgspec.Struct, frozen=True):
    """A valid broadcast. `note` is what it sends, as a notification without a user; its times are the broadcast's.

    `quick`: of a count, one partition is walked. `step`: which of the steps an order is about; of a broadcast with a
    time which of the instants, from 1 on. `via` None: each device of the audience is sent to.
    """

    note: Notification
    app: str
    audience: Node
    count_only: bool = False
    pace: BroadcastPace | None = None
    split: Split | None = None
    not_to: NotTo | None = None
    steps: tuple[Step, ...] = ()
    quick: bool = False
    step: int = 0
    instants: tuple[Instant, ...] = ()
    via: Via | None = None

    @property
    def due_at(self) -> int | None:
        """When this order's instant is, milliseconds since the epoch; None: nothing delays the broadcast."""
        return self.instants[self.step - 1].at if self.instants and self.step else None

    @property
    def stepped(self) -> bool:
        """Whether an order is about a part of the audience; a count goes through all of it at once."""
        return bool(self.steps) and not self.count_only

    def in_step(self, user: str) -> bool:
        """Whether a user belongs to this order's step. Steps have a salt of their own: a split mixes in each."""
        first = self.steps[self.step - 1].share if self.step else 0
        return first <= bucket(f"{self.id}\0step", user) < self.steps[self.step].share

    @property
    def id(self) -> str:
        """Chosen by the producer; one broadcast of a lane."""
        return self.note.id
