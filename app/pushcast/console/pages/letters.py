"""`/dead-letters`: what no retry can mend, by topic and reason, and back to where it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pushcast.console.desk import Desk
from pushcast.console.visit import Deed, View, Visit
from pushcast.console.words import DASH
from pushcast.model.plural import counted

SHOWN: Final = 200


async def show(desk: Desk, visit: Visit) -> View:
    """GET /dead-letters[?topic=&reason=]."""
    return await _page(desk, visit, visit.query)


async def redrive(desk: Desk, visit: Visit) -> View:
    """POST /dead-letters/redrive: `do=count` says what would go back, `do=execute` sends it."""
    form = visit.form
    execute, in_doubt = form.get("do") == "execute", form.get("in_doubt") == "true"
    body: dict[str, Any] = {"execute": execute, "in_doubt": in_doubt}
    for field, name in (("topic", "topics"), ("reason", "reasons")):
        if value := form.get(field, ""):
            body[name] = [value]
    done = await desk.api.ask("redrive", visit.caller, body=body)
    about = ", ".join(filter(None, (form.get("topic"), form.get("reason")))) or "all"
    deed = None
    if execute:
        before = counted(done["letters"], "dead letter")
        deed = Deed(about, before, f"{done['redriven']:,} of them sent again")
    return await _page(desk, visit, form, {**done, "in_doubt": in_doubt}, deed)


async def _page(
    desk: Desk, visit: Visit, asked: Mapping[str, str], done: Mapping[str, Any] | None = None, deed: Deed | None = None
) -> View:
    found = await desk.api.ask("dead_letters", visit.caller, query={"limit": str(SHOWN)})
    topic, reason = asked.get("topic", ""), asked.get("reason", "")
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
            "shown": SHOWN,
            "done": done,
        },
        deed=deed,
    )


def kinds(letters: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """(source topic, reason, how many), the most frequent first."""
    found = Counter((letter["source"]["topic"] or DASH, letter["reason"]) for letter in letters)
    return [(topic, reason, count) for (topic, reason), count in found.most_common()]
