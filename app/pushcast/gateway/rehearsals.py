"""`rehearse: true`: what a request would do, by the stages' own code; nothing is written for anybody to get."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pushcast.gateway.events import EventRecord
from pushcast.gateway.http import Answer, PendingAnswer, answer
from pushcast.gateway.problems import FieldError, Problem
from pushcast.gateway.questions import Questions
from pushcast.gateway.sizes import Sizes
from pushcast.model.broadcast import BroadcastPace
from pushcast.model.notification import Notification
from pushcast.model.words import Lane, Outcome

FIELD: Final = "rehearse"
#: A partition is read for it, in its turn.
ANSWER_SECONDS: Final = 30.0
#: Over which the present rate is looked for.
RATE_MS: Final = 600_000


class AskedBody(NamedTuple):
    """A body without the field, and whether it is to be rehearsed."""

    body: dict[str, Any]
    raw: bytes
    rehearses: bool


def asked_of(body: dict[str, Any], raw: bytes) -> AskedBody:
    """`body` is `raw` read. Raises Problem for what is neither true nor false."""
    if FIELD not in body:
        return AskedBody(body, raw, False)
    rehearses = body[FIELD]
    if not isinstance(rehearses, bool):
        detail = f"{FIELD} is true or false"
        raise Problem("invalid_field", detail, errors=[FieldError(f"#/{FIELD}", "invalid_field", detail)])
    rest = {name: value for name, value in body.items() if name != FIELD}
    return AskedBody(rest, json.dumps(rest).encode(), rehearses)


#: (lane, user, value of the event, milliseconds) to what would become of it. Blocks.
Rehearse = Callable[[Lane, str, bytes, int], dict[str, Any]]


class NoteRehearsals:
    """Of single notifications."""

    def __init__(self, rehearse: Rehearse, questions: Questions, sizes: Sizes) -> None:
        self._rehearse = rehearse
        self._questions = questions
        self._sizes = sizes

    def begin(self, event: EventRecord, note: Notification, lane: Lane, now_ms: int) -> PendingAnswer:
        """`event`, `note`: valid, and its caller may send it."""
        asked = self._questions.ask(self._rehearse, lane, event.user, event.value, now_ms)
        task = asyncio.ensure_future(asked)

        def end() -> Answer:
            if not task.done():
                task.cancel()
                raise Problem("overloaded", "it was not rehearsed in time", headers={"Retry-After": "5"})
            about = {"id": event.id, "user": event.user, "lane": lane, "rehearsed": True}
            return answer(200, about | task.result() | {"sizes": sizes_of(self._sizes, note)})

        return PendingAnswer(task, ANSWER_SECONDS, end)


def sizes_of(sizes: Sizes, note: Notification) -> list[dict[str, Any]]:
    """What each platform of its app would count of it."""
    return [
        {"platform": each.platform, "bytes": each.size, "limit_bytes": each.limit, "problem": each.problem}
        for each in sizes.measure(note)
    ]


def present_rate(totals: Mapping[str, Any]) -> float | None:
    """Accepted deliveries a second in the busiest minute of these totals; None: there were none."""
    by_minute: Counter[str] = Counter()
    for row in totals["totals"]:
        by_minute[row["due_at"]] += row["outcomes"][Outcome.ACCEPTED]
    most = max(by_minute.values(), default=0)
    return round(most / 60, 3) if most else None


def expected_seconds(
    devices: int, rate: float | None, pace: BroadcastPace | None, waits_seconds: int = 0
) -> float | None:
    """How long so many deliveries take at that rate a second, or at the pace that is asked for if that is slower.
    `waits_seconds`: between steps. None: no rate is known."""
    rates = [each for each in (rate, None if pace is None else pace.per_second) if each]
    least = 0 if pace is None else pace.over_seconds or 0
    if not rates and not least:
        return None
    return round(max(least, devices / min(rates) if rates else 0) + waits_seconds, 1)
