"""The name of REGISTER as a writer, and of its topics."""

from __future__ import annotations

from typing import NamedTuple

from pushcast.wire import topics

#: What its rows and fences call it.
STAGE = "register"


class Topics(NamedTuple):
    """Others than the product's own only in tests on a shared broker."""

    changed: str = topics.DEVICE_CHANGED
    invalid: str = topics.TOKEN_INVALID
    device: str = topics.DEVICE
    hold: str = topics.TOKEN_HOLD
    claim: str = topics.TOKEN_CLAIM
    evict: str = topics.TOKEN_EVICT
    engagement: str = topics.ENGAGEMENT

    @property
    def of_history(self) -> tuple[str, ...]:
        """Those that tell what became of a device. Claims and evictions are between REGISTER and OWN: what comes of
        them is a row's, with its reason. What its user does is no part of that."""
        return self.changed, self.invalid, self.device, self.hold
