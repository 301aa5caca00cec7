"""`/examples`: single deliveries behind a reason, each with a way to why it ended so."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

from pushcast.console.desk import Desk
from pushcast.console.visit import View, Visit
from pushcast.console.words import milliseconds, spoken

SUBJECTS: Final = ("report", "campaign", "app")
NARROWED: Final = ("platform", "outcome", "reason")
SLOW: Final = "slower_than_ms"


async def show(desk: Desk, visit: Visit) -> View:
    """GET /examples?report=ID|campaign=NAME|app=APP[&platform=][&outcome=][&reason=][&slower_than_ms=]."""
    asked = {name: text for name in (*SUBJECTS, *NARROWED, SLOW) if (text := visit.query.get(name, ""))}
    found = await desk.api.ask("examples", visit.caller, query=asked)
    subject = next(name for name in SUBJECTS if name in asked)
    return View(
        "examples.html",
        {
            "subject": subject,
            "name": asked[subject],
            "back": _back(subject, asked[subject]),
            "narrowed": ", ".join(_narrowed(asked)),
            "slow": SLOW in asked,
            "examples": [{**each, "why": _why(each)} for each in found["examples"]],
            "looked_at": found["looked_at"],
            "whole": found["whole"],
            "missing": found["missing_partitions"],
        },
    )


def _narrowed(asked: dict[str, str]) -> list[str]:
    slow = [f"accepted after {milliseconds(int(asked[SLOW]))} or more"] if SLOW in asked else []
    return slow + [spoken(asked[name]) for name in reversed(NARROWED) if name in asked]


def _back(subject: str, name: str) -> str:
    if subject == "app":
        return f"/reports?{urlencode({'app': name})}"
    return f"/{subject}s/{quote(name, safe='')}"


def _why(example: dict[str, Any]) -> str:
    question = {"user": example["user"], "notification": example["notification"]}
    return f"/people?{urlencode(question | ({'device': example['device']} if example['device'] else {}))}"
