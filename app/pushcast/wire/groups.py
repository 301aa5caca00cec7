"""Names of the consumer groups, for tools that ask how far a stage has come."""

from __future__ import annotations

from typing import Final

from pushcast.model.words import Lane, Platform

SETTLE: Final = "pushcast-settle"


def plan(lane: Lane) -> str:
    """The planners of a lane."""
    return f"pushcast-plan-{lane}"


def send(platform: Platform, lane: Lane) -> str:
    """The senders of a platform and lane."""
    return f"pushcast-send-{platform}-{lane}"
