"""What of the demo's load waits: events that gather in digests, events beyond a cap, and events for users in whose zone
it is night, until they travel. Pure and seeded, as `load`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pushcast.demo.notes import Note

DIGEST_CLASS, CAPPED_CLASS, QUIET_CLASS = "likes", "promo", "evening"
DIGEST_SECONDS: Final = 3
#: Events of one user: they gather in one digest; the cap lets the first one through.
DIGEST_EVENTS: Final = 4
CAPPED_EVENTS: Final = 2
#: In a traveller's zone it is this hour: first at home, then where the user travels to.
NIGHT_HOUR, DAY_HOUR = 2, 14
#: One group of each kind for so many events of the load, and at most so many.
EVENTS_EACH: Final = 200
MAX_GROUPS: Final = 200
APP: Final = "chat"
#: What the demo's configuration has for them.
CLASSES: Final[Mapping[str, Mapping[str, Any]]] = {
    DIGEST_CLASS: {
        "lane": "normal",
        "window_seconds": 0.05,
        "quiet": "ignore",
        "digest": {"window_seconds": DIGEST_SECONDS, "key": "digest_key", "body": "{count} people like it"},
    },
    CAPPED_CLASS: {"lane": "normal", "window_seconds": 0.05, "quiet": "ignore"},
    QUIET_CLASS: {"lane": "normal", "window_seconds": 0.05, "quiet": "hold"},
}
CAPS: Final[Sequence[Mapping[str, Any]]] = (
    {"name": "promo-day", "classes": [CAPPED_CLASS], "limit": 1, "calendar": "day"},
)


def groups_of(events: int, users: int) -> int:
    """How many groups of each kind a load of so many events has: each is of a user of its own."""
    return min(events // EVENTS_EACH, MAX_GROUPS, users)


def timed_count(groups: int) -> int:
    """How many events so many groups have."""
    return groups * (DIGEST_EVENTS + CAPPED_EVENTS + 1)


def make_timed(groups: int, users: Sequence[str], content: int, seed: int) -> Iterator[Note]:
    """Events of `groups` digests, of as many users who get more than their cap allows, and one for each of as many
    travellers. `content`: the first number of theirs."""
    rng = random.Random(f"timed/{seed}")
    for number, user in enumerate(rng.sample(users, groups)):
        for at in range(DIGEST_EVENTS):
            event = {"title": f"User {at} likes your photo", "digest_key": f"photo-{number}"}
            yield _note(user, content, DIGEST_CLASS, event, arrives=False)
            content += 1
    for user in rng.sample(users, groups):
        for at in range(CAPPED_EVENTS):
            yield _note(user, content, CAPPED_CLASS, {"title": f"Offer {at}"}, arrives=at == 0)
            content += 1
    for user in travellers(groups, users, seed):
        yield _note(user, content, QUIET_CLASS, {"title": "Good evening"}, arrives=True)
        content += 1


def travellers(groups: int, users: Sequence[str], seed: int) -> list[str]:
    """Users with quiet hours of their own."""
    return random.Random(f"travellers/{seed}").sample(users, groups)


def preference(local_hour: int, utc_hour: int) -> dict[str, Any]:
    """Quiet hours at night, in a zone where it is that hour."""
    east = (local_hour - utc_hour + 12) % 24 - 12
    zone = f"UTC{'-' if east < 0 else '+'}{abs(east):02}:00"
    return {"op": "prefer", "time_zone": zone, "quiet_hours": [{"from": "20:00", "to": "08:00"}]}


def _note(user: str, content: int, klass: str, event: Mapping[str, Any], *, arrives: bool) -> Note:
    own = {"id": f"{klass}-{content}", "app": APP, "class": klass, "body": f"({content})"}
    return Note(user, "normal", content, {**own, **event}, arrives=arrives)
