"""Parts of a broadcast event that a notification has not: pace, steps and those who are left out. Every refusal names
field and limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from pushcast.model.broadcast import UNFINISHED, BroadcastPace, NotTo, Step
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import BUCKETS
from pushcast.model.notification import Notification
from pushcast.model.words import Outcome, Reason
from pushcast.wire.keys import check_id

MAX_PACE_SECONDS: Final = 86_400
MAX_PER_SECOND: Final = 1_000_000
MAX_STEPS: Final = 10
MAX_TEXTS: Final = 1_000  # variants times locales
MAX_TEXT_BYTES: Final = 4_096  # of one of them; no provider takes more
OUTCOMES: Final = (*map(str, Outcome), UNFINISHED)
#: Who is left out by default: who has it, and who may still get it.
_LEFT_OUT: Final = [str(Outcome.ACCEPTED), UNFINISHED]


class RawNotTo(msgspec.Struct, forbid_unknown_fields=True):
    """As the event has it. `since_ms` is written by SPREAD alone, into orders."""

    broadcast: str
    outcomes: list[str] = msgspec.field(default_factory=_LEFT_OUT.copy)
    since_ms: int | None = None


def not_to_of(raw: RawNotTo, broadcast_id: str, *, frozen: bool) -> NotTo:
    """`frozen`: of an order. Raises InvalidInput (invalid_field)."""
    if (raw.since_ms is not None) is not frozen:
        refuse("not_to.since_ms", "is not for producers")
    if check_id(raw.broadcast, "not_to.broadcast") == broadcast_id:
        refuse("not_to.broadcast", "is the broadcast itself")
    if not raw.outcomes or not set(raw.outcomes) <= set(OUTCOMES):
        refuse("not_to.outcomes", f"takes one or more of {', '.join(OUTCOMES)}")
    return NotTo(raw.broadcast, frozenset(raw.outcomes), raw.since_ms or 0)


def check_contents(notes: Sequence[Notification]) -> None:
    """Of each variant of the split, with its languages. Raises InvalidInput: invalid_field, too_large."""
    count = sum(1 + len(note.content.locales) for note in notes)
    if count > MAX_TEXTS:
        refuse("split.variants", f"has {count} texts with their locales; at most {MAX_TEXTS}")
    for note in notes:
        for locale in (None, *note.content.locales):
            size = len(msgspec.json.encode(note.content.of_variant(locale)))
            if size > MAX_TEXT_BYTES:
                where = "the content" if locale is None else f"locales.{locale}"
                raise InvalidInput(Reason.TOO_LARGE, f"{where} has {size} bytes; at most {MAX_TEXT_BYTES}", "body")


def check_steps(steps: list[Step], life_seconds: float) -> tuple[Step, ...]:
    """Raises InvalidInput (invalid_field)."""
    if not 2 <= len(steps) <= MAX_STEPS:
        refuse("steps", f"has {len(steps)} entries; 2 to {MAX_STEPS}")
    shares = [0, *[step.share for step in steps]]
    if sorted(set(shares)) != shares or shares[-1] != BUCKETS:
        refuse("steps", f"must have shares that grow from step to step, up to {BUCKETS}")
    for place, step in enumerate(steps):
        if step.wait_seconds < 0:
            refuse(f"steps[{place}].wait_seconds", "is negative")
        for name in ("invalid_share", "rejected_share"):
            share = getattr(step.stop_if, name)
            if share is not None and not 0 <= share <= 1:
                refuse(f"steps[{place}].stop_if.{name}", f"is {share}; 0 to 1")
    if steps[-1].wait_seconds or any(msgspec.structs.astuple(steps[-1].stop_if)):
        refuse(f"steps[{len(steps) - 1}]", "has no step behind it: wait_seconds and stop_if decide about the next one")
    waits = sum(step.wait_seconds for step in steps)
    if waits >= life_seconds:
        refuse("steps", f"wait {waits} s together, and the broadcast expires after {life_seconds:.0f} s")
    return tuple(steps)


def check_pace(pace: BroadcastPace | None, life_seconds: float) -> None:
    """Raises InvalidInput (invalid_field)."""
    if pace is None:
        return
    over, rate = pace.over_seconds, pace.per_second
    if (over is None) is (rate is None):
        refuse("pace", "takes over_seconds or per_second")
    if over is not None and not 1 <= over <= MAX_PACE_SECONDS:
        refuse("pace.over_seconds", f"is {over}; 1 to {MAX_PACE_SECONDS}")
    if over is not None and over > life_seconds:
        refuse("pace.over_seconds", f"is {over}, and the broadcast expires after {life_seconds:.0f} s")
    if rate is not None and not 1 <= rate <= MAX_PER_SECOND:
        refuse("pace.per_second", f"is {rate}; 1 to {MAX_PER_SECOND}")


def refuse(field: str, problem: str) -> NoReturn:
    """Raises InvalidInput (invalid_field)."""
    raise InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)
