"""What users choose: op `prefer` of `push.device.changed.v1`, and the form in which people read it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.preferences import OFF, ON
from pushcast.model.quiet import DAYS, problem_of
from pushcast.model.user import QuietHours, UserRow
from pushcast.model.words import Reason
from pushcast.model.zones import zone_of
from pushcast.wire.keys import check_id
from pushcast.wire.times import rfc3339, to_ms

_NONE: Final = (None,) * 4
MAX_CHOICES: Final = 200  # classes, or threads, of one row


class QuietForm(msgspec.Struct, forbid_unknown_fields=True):
    """Quiet hours as producers write them."""

    begins: str = msgspec.field(name="from")
    ends: str = msgspec.field(name="to")
    days: tuple[str, ...] = DAYS


class Choices(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields of an event that belong to op `prefer` alone."""

    quiet_hours: list[QuietForm] | None = None
    classes: dict[str, str] | None = None
    threads: dict[str, str] | None = None
    muted_until: int | str | None = None


def preferences_of(choices: Choices, time_zone: str | None, at: int) -> UserRow:
    """The row that replaces what the user had chosen before, for all apps or for one. Raises InvalidInput.

    A zone is what a person has chosen, so an unknown one is refused; that of a device is not.
    """
    if time_zone is not None and zone_of(time_zone) is None:
        raise _refusal("time_zone", "is no zone of the pinned tzdata")
    windows = tuple([QuietHours(each.days, each.begins, each.ends) for each in choices.quiet_hours or ()])
    problem = problem_of(windows)
    if problem is not None:
        raise _refusal("quiet_hours", problem)
    return UserRow(
        at=at,
        time_zone=time_zone,
        quiet_hours=windows,
        classes=_choices(choices.classes or {}, "classes"),
        threads=_choices(choices.threads or {}, "threads"),
        muted_until=None if choices.muted_until is None else to_ms(choices.muted_until, "muted_until", at),
    )


def refuse_choices(choices: Choices, op: str) -> None:
    """Raises InvalidInput when another op has fields of `prefer`."""
    if (choices.quiet_hours, choices.classes, choices.threads, choices.muted_until) == _NONE:
        return
    for field in Choices.__struct_fields__:
        if getattr(choices, field) is not None:
            raise _refusal(field, f"belongs to op prefer, not to {op}")


def shown_preferences(row: UserRow) -> dict[str, Any]:
    """A row as its event was written; without what was not chosen."""
    windows: Sequence[Mapping[str, Any]] = [
        {"days": list(each.days), "from": each.begins, "to": each.ends} for each in row.quiet_hours
    ]
    told = {
        "time_zone": row.time_zone,
        "quiet_hours": windows,
        "classes": row.classes,
        "threads": row.threads,
        "muted_until": None if row.muted_until is None else rfc3339(row.muted_until),
        "at": None if row.at is None else rfc3339(row.at),
    }
    return {name: value for name, value in told.items() if value}


def _choices(said: dict[str, str], field: str) -> dict[str, str]:
    if len(said) > MAX_CHOICES:
        raise _refusal(field, f"has {len(said)} entries; at most {MAX_CHOICES}")
    for name, word in said.items():
        check_id(name, field)
        if word not in (ON, OFF):
            raise _refusal(f"{field}.{name[:64]}", f"is neither {ON} nor {OFF}")
    return said


def _refusal(field: str, problem: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)
