"""Names of REGISTER's topics."""

from __future__ import annotations

from typing import NamedTuple

from pushcast.wire import topics


class Topics(NamedTuple):
    """Others than the product's own only in tests on a shared broker."""

    changed: str = topics.DEVICE_CHANGED
    invalid: str = topics.TOKEN_INVALID
    device: str = topics.DEVICE
    hold: str = topics.TOKEN_HOLD
