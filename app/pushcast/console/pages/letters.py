"""`/dead-letters`: what no retry can mend, by topic and reason, and back to where it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pushcast.console.desk import Desk
from pushcast.console.visit import View, Visit
from pushcast.console.words import DASH

SHOWN: Final = 200
REDRIVE: Final = "redrive"


async def show(desk: Desk, visit: Visit) -> View:
    """GET /dead-letters[?topic=&reason=]."""
    found = await desk.api.ask("dead_letters", visit.caller, query={"limit": str(SHOWN)})
    topic, reason = visit.query.get("topic", ""), visit.query.get("reason", "")
    letters = [
        letter
        for letter in found["letters"]
        if (not topic or letter["source"]["topic"] == topic) and (not reason or letter["reason"] == reason)
    ]
    return View(
        "letters.html",
        {
            "groups": kinds(found["letters"]),
            "letters": letters,
            "asked": {"topic": topic, "reason": reason},
            "more": len(found["letters"]) == SHOWN,
            "can_redrive": desk.api.has(REDRIVE),
        },
    )


def kinds(letters: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """(source topic, reason, how many), the most frequent first."""
    found = Counter((letter["source"]["topic"] or DASH, letter["reason"]) for letter in letters)
    return [(topic, reason, count) for (topic, reason), count in found.most_common()]
