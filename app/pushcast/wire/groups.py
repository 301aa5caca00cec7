"""Consumer groups: for the stages themselves, and for tools that ask how far they have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pushcast.model.words import Lane, Platform
from pushcast.wire import topics

REGISTER: Final = "pushcast-register"
OWN: Final = "pushcast-own"
SETTLE: Final = "pushcast-settle"
SPREAD: Final = "pushcast-spread"
KEEP: Final = "pushcast-keep"
REPORT: Final = "pushcast-report"


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


def readings(platforms: Iterable[Platform] = tuple(Platform)) -> list[Reading]:
    """Every group of the stages, for these platforms. A new stage is entered here; a test holds it against its spec."""
    kinds = list(platforms)
    return [
        Reading(
            "registrar", REGISTER, (topics.DEVICE_CHANGED, topics.TOKEN_INVALID, topics.TOKEN_EVICT, topics.TOKEN_HOLD)
        ),
        Reading("registrar", OWN, (topics.TOKEN_CLAIM,)),
        *(
            Reading("planner", plan(lane), (topics.notification(lane), topics.due(lane), topics.walk(lane)))
            for lane in Lane
        ),
        *(Reading("sender", send(each, lane), (topics.send(each, lane),)) for each in kinds for lane in Lane),
        Reading("settler", SETTLE, (*map(topics.retry, topics.RETRY_DELAY_SECONDS), topics.PARKED)),
        *(Reading("settler", poll(each), (topics.ticket(each),)) for each in kinds if each in topics.TICKET_PLATFORMS),
        Reading("settler", SPREAD, tuple(map(topics.broadcast, Lane))),
        Reading(
            "keeper",
            KEEP,
            (*map(topics.keep, Lane), topics.CANCEL, topics.ENGAGEMENT, topics.RECALLABLE, topics.COUNTED),
        ),
    ]


def patterns() -> dict[str, list[str]]:
    """By role its groups, as Kafka's prefixed ACLs have them: those of several lanes or platforms in one."""
    found: dict[str, list[str]] = {}
    for each in readings():
        stem, _, rest = each.group.removeprefix("pushcast-").partition("-")
        pattern = f"pushcast-{stem}-*" if rest else each.group
        names = found.setdefault(each.role, [])
        if pattern not in names:
            names.append(pattern)
    return found
