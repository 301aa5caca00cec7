"""Names of the consumer groups: for the stages themselves, and for tools that ask how far they have come."""

from __future__ import annotations

from typing import Final

from pushcast.model.words import Lane, Platform

REGISTER: Final = "pushcast-register"
SETTLE: Final = "pushcast-settle"
SPREAD: Final = "pushcast-spread"
KEEP: Final = "pushcast-keep"
REPORT: Final = "pushcast-report"


def plan(lane: Lane) -> str:
    """The planners of a lane."""
    return f"pushcast-plan-{lane}"


def send(platform: Platform, lane: Lane) -> str:
    """The senders of a platform and lane."""
    return f"pushcast-send-{platform}-{lane}"


def poll(platform: Platform) -> str:
    """Those who ask about a platform's tickets."""
    return f"pushcast-poll-{platform}"
