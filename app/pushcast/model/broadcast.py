"""A broadcast: one event for every device of an audience."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pushcast.model.audience import Node
from pushcast.model.ids import bucket
from pushcast.model.notification import Notification

#: A held-out device in the counts of variants.
HELD_OUT: Final = ""


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a broadcast may go, one of the two: the whole of it spread over a time, or a rate."""

    over_seconds: int | None = None
    per_second: int | None = None


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


class Broadcast(msgspec.Struct, frozen=True):
    """A valid broadcast. `note` is what it sends, as a notification without a user; its times are the broadcast's."""

    note: Notification
    app: str
    audience: Node
    count_only: bool = False
    pace: Pace | None = None
    split: Split | None = None

    @property
    def id(self) -> str:
        """Chosen by the producer; one broadcast of a lane."""
        return self.note.id
