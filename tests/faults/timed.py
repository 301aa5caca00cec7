"""Events of all kinds that wait, and people who cancel, read and travel meanwhile. For the keeper's scenario."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from pushcast.demo.timed import CAPPED_CLASS, DAY_HOUR, DIGEST_CLASS, NIGHT_HOUR, QUIET_CLASS, preference
from pushcast.model.words import Lane
from pushcast.wire import topics

#: Shares of the events beside which something is done with one of the last so many.
CANCELLED, READ, TRAVELLED = 0.05, 0.05, 0.02
RECENT: Final = 500
SOONEST_SECONDS, LATEST_SECONDS = 1.0, 8.0
Fields = Callable[[random.Random, float], dict[str, Any]]


class Beside(NamedTuple):
    """A record beside an event."""

    topic: str
    user: str
    value: bytes


def _instant(rng: random.Random, now: float) -> dict[str, Any]:
    return {"deliver_at": round((now + rng.uniform(SOONEST_SECONDS, LATEST_SECONDS)) * 1000)}


def _local(rng: random.Random, now: float) -> dict[str, Any]:
    reading = datetime.fromtimestamp(now + rng.uniform(SOONEST_SECONDS, LATEST_SECONDS), UTC)
    return {"deliver_local_at": reading.strftime("%Y-%m-%dT%H:%M:%S")}


#: What an event has beside a plain one's fields, at a time in seconds since the epoch.
KINDS: Final[Mapping[str, Fields]] = {
    "plain": lambda *_: {},
    "instant": _instant,
    "local": _local,
    "spread": lambda *_: {"spread_seconds": 5},
    "unless_read": lambda *_: {"unless_read_seconds": 3},
    "digest": lambda rng, _: {"class": DIGEST_CLASS, "digest_key": f"k{rng.randrange(3)}"},
    "capped": lambda *_: {"class": CAPPED_CLASS},
    "quiet": lambda *_: {"class": QUIET_CLASS},
}


#: Nothing is spread there: an event that asks for it is a dead letter.
_URGENT: Final = tuple(kind for kind in KINDS if kind != "spread")
#: Their classes keep to no quiet hours.
_IGNORING: Final = ("digest", "capped")


class Timed:
    """Varies the events of a load. Seeded; the clock is the machine's."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._recent: deque[tuple[str, str]] = deque(maxlen=RECENT)
        #: User and id of all that may wait for hours: for a time, or for the end of quiet hours that a retry came into.
        self.written: list[tuple[str, str]] = []

    def vary(self, user: str, event: dict[str, Any], lane: Lane) -> Iterator[Beside]:
        """Makes it one of the kinds that its lane takes; yields what is written behind it."""
        rng, now = self._rng, time.time()
        kind = rng.choice(_URGENT if lane is Lane.URGENT else tuple(KINDS))
        event |= KINDS[kind](rng, now)
        self._recent.append((user, event["id"]))
        if kind not in _IGNORING:
            self.written.append((user, event["id"]))
        whom, what = rng.choice(self._recent)
        if rng.random() < CANCELLED:
            yield cancel(whom, what)
        if rng.random() < READ:
            yield Beside(topics.ENGAGEMENT, whom, orjson.dumps({"event": "read", "ids": [what], "app": event["app"]}))
        if rng.random() < TRAVELLED:
            wish = preference(rng.choice((NIGHT_HOUR, DAY_HOUR)), time.gmtime(now).tm_hour)
            yield Beside(topics.DEVICE_CHANGED, whom, orjson.dumps(wish))


def cancel(user: str, note_id: str) -> Beside:
    """Calls one off."""
    return Beside(topics.CANCEL, user, orjson.dumps({"ids": [note_id]}))
