"""Consumer groups: for the stages themselves, and for tools that ask how far they have come."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.words import Lane, Platform

REGISTER: Final = "pushcast-register"
OWN: Final = "pushcast-own"
MIRROR: Final = "pushcast-mirror"
SETTLE: Final = "pushcast-settle"
SPREAD: Final = "pushcast-spread"
KEEP: Final = "pushcast-keep"
REPORT: Final = "pushcast-report"
REPORT_STANDBY: Final = "pushcast-report-standby"


class Reading(NamedTuple):
    """What the processes of a role read in one group."""

    role: str
    group: str
    topics: tuple[str, ...]


def webhook(endpoint: str) -> str:
    """Those who post to an endpoint of the configuration."""
    return f"pushcast-webhook-{endpoint}"


def plan(lane: Lane) -> str:
    """The planners of a lane."""
    return f"pushcast-plan-{lane}"


def send(platform: Platform, lane: Lane) -> str:
    """The senders of a platform and lane."""
    return f"pushcast-send-{platform}-{lane}"


def poll(platform: Platform) -> str:
    """Those who ask about a platform's tickets."""
    return f"pushcast-poll-{platform}"
