"""Physical names of the topics that stages use. What each is for, and its settings, stand in `topology/topics/`."""

from __future__ import annotations

from typing import Final, Literal, get_args

from pushcast.model.words import Lane, Platform

RetryDelay = Literal["10s", "1m", "5m", "30m"]

#: Contract: intake topics take records up to 1 MiB.
MAX_INTAKE_BYTES: Final = 1_048_576

DEVICE_CHANGED: Final = "push.device.changed.v1"
DEVICE: Final = "push.device.v1"
PLANNED: Final = "push.planned.v1"
RECEIPT: Final = "push.receipt.v1"
TOKEN_INVALID: Final = "push.token.invalid.v1"  # noqa: S105 - a topic, not a secret
TOKEN_HOLD: Final = "push.token.hold.v1"  # noqa: S105 - a topic, not a secret
TOKEN_CLAIM: Final = "push.token.claim.v1"  # noqa: S105 - a topic, not a secret
TOKEN_OWNER: Final = "push.token.owner.v1"  # noqa: S105 - a topic, not a secret
TOKEN_EVICT: Final = "push.token.evict.v1"  # noqa: S105 - a topic, not a secret
TOKEN_TOPICS: Final = "push.token.topics.v1"  # noqa: S105 - a topic, not a secret
PARKED: Final = "push.parked.v1"
CONTROL: Final = "push.control.v1"
WALKED: Final = "push.walked.v1"
WHERE: Final = "push.where.v1"
CANCEL: Final = "push.cancel.v1"
ENGAGEMENT: Final = "push.engagement.v1"
REPORT: Final = "push.report.v1"
API_KEY: Final = "push.key.v1"
ACTION: Final = "push.action.v1"
USER: Final = "push.user.v1"
RECALLABLE: Final = "push.recallable.v1"
COUNTED: Final = "push.counted.v1"

#: The retry ladder, shortest first: the rung's name in its topic, and how long a record waits there.
RETRY_DELAY_SECONDS: Final[dict[RetryDelay, int]] = {"10s": 10, "1m": 60, "5m": 300, "30m": 1800}
DEAD_LETTER_SUFFIX: Final = ".dlq"
#: Platforms whose providers take a push with a ticket and tell what became of it only when they are asked later.
TICKET_PLATFORMS: Final = frozenset({Platform.EXPO})

_DELAYS = get_args(RetryDelay)


def notification(lane: Lane) -> str:
    """Where producers put notifications of a lane."""
    return f"push.notification.{Lane(lane)}.v1"


def broadcast(lane: Lane) -> str:
    """Where producers put broadcasts of a lane."""
    return f"push.broadcast.{Lane(lane)}.v1"


def walk(lane: Lane) -> str:
    """Where SPREAD puts each partition's order of a broadcast."""
    return f"push.walk.{Lane(lane)}.v1"


def keep(lane: Lane) -> str:
    """Where PLAN puts what is to be held."""
    return f"push.keep.{Lane(lane)}.v1"


def due(lane: Lane) -> str:
    """Where KEEP puts what is due, for PLAN."""
    return f"push.due.{Lane(lane)}.v1"


def send(platform: Platform, lane: Lane) -> str:
    """Where PLAN puts multicast batches for the senders of a platform and lane."""
    return f"push.send.{Platform(platform)}.{Lane(lane)}.v1"


def retry(delay: RetryDelay) -> str:
    """Rung of the retry ladder. Raises ValueError for a rung that does not exist."""
    if delay not in _DELAYS:
        raise ValueError(f"retry delay {delay!r} is none of {', '.join(_DELAYS)}")
    return f"push.retry.{delay}.v1"


def ticket(platform: Platform) -> str:
    """Where tickets wait until their provider is asked. Raises ValueError for a platform without tickets."""
    if platform not in TICKET_PLATFORMS:
        raise ValueError(f"{platform} gives no tickets")
    return f"push.ticket.{Platform(platform)}.v1"


def dead_letter(topic: str) -> str:
    """Where records of `topic` go that no retry can mend. Raises ValueError for a dead-letter topic: they have none."""
    if topic.endswith(DEAD_LETTER_SUFFIX):
        raise ValueError(f"{topic} is a dead-letter topic itself")
    return topic + DEAD_LETTER_SUFFIX
