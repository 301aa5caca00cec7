"""Whether a report has reached the goal of the service level (`slo` in the configuration). Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from pushcast.report.notes import WITHIN_SECONDS, Note, split_ended
from pushcast.report.sketch import value_of
from pushcast.report.slo import EXCUSED
from pushcast.report.tallies import is_told


class Goal(NamedTuple):
    """`share` of the deliveries must be accepted within so many seconds of being due. `without`: classes that wait
    longer on purpose."""

    within_seconds: int = 120
    share: float = 0.9
    without: frozenset[str] = frozenset()


class Level(Protocol):
    """`config.settings.Slo`."""

    @property
    def within_seconds(self) -> int: ...
    @property
    def target(self) -> float: ...


class LevelSettings(Protocol):
    """What it needs of `config.settings.Settings`."""

    @property
    def slo(self) -> Level: ...
    def waiting_classes(self) -> set[str]: ...


USUAL: Final = Goal()


def goal_of(settings: LevelSettings) -> Goal:
    """Of the configuration."""
    return Goal(settings.slo.within_seconds, settings.slo.target, frozenset(settings.waiting_classes()))


def slo_of(note: Note, goal: Goal, now_ms: int) -> dict[str, Any] | None:
    """`share` of what was planned that was accepted in time, without what nobody could deliver (invalid, suppressed,
    cancelled). What is open counts as late once the time has gone since planning began; until then it does not count,
    and `met` is null. None: dry runs, canaries and classes that wait on purpose are not judged."""
    if not is_told(note.dry_run, note.id) or note.klass in goal.without:
        return None
    judged = note.planned_count - sum(count for key, count in note.ended.items() if split_ended(key)[1] in EXCUSED)
    undecided = note.planned_count - note.ended_count
    if undecided and now_ms > note.first_planned_at + goal.within_seconds * 1000:
        undecided = 0
    judged -= undecided
    share = _in_time(note, goal.within_seconds) / judged if judged else None
    return {
        "within_seconds": goal.within_seconds,
        "share": None if share is None else round(share, 4),
        "target": goal.share,
        "met": None if share is None or undecided else share >= goal.share,
    }


def _in_time(note: Note, within_seconds: int) -> int:
    """Exact for the times that reporters count, within 4.5 % of the time for others."""
    if within_seconds in WITHIN_SECONDS:
        return note.within[WITHIN_SECONDS.index(within_seconds)]
    return sum(count for bucket, count in note.latency.items() if value_of(int(bucket)) <= within_seconds * 1000)
