"""`quiet_hours` of an app, checked as those are that users choose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Protocol

from pydantic import AfterValidator, ConfigDict, Field

from pushcast.config.strict import Strict
from pushcast.model.quiet import DAYS, MAX_WINDOWS, AppTimes, problem_of
from pushcast.model.user import QuietHours
from pushcast.model.zones import zone_of


class QuietWindow(Strict):
    """A span of local time, [from, to), that begins on these days. It ends on the next one when `to` is earlier."""

    model_config = ConfigDict(populate_by_name=True)

    days: tuple[str, ...] = DAYS
    begins: str = Field(alias="from")
    ends: str = Field(alias="to")

    @property
    def window(self) -> QuietHours:
        """As planners have it."""
        return QuietHours(self.days, self.begins, self.ends)


def _checked(windows: tuple[QuietWindow, ...]) -> tuple[QuietWindow, ...]:
    problem = problem_of([each.window for each in windows])
    if problem is not None:
        raise ValueError(problem)
    return windows


class HasTimes(Protocol):
    """`config.providers.App`."""

    @property
    def time_zone(self) -> str: ...
    @property
    def quiet_hours(self) -> tuple[QuietWindow, ...]: ...


def app_times(apps: Mapping[str, HasTimes]) -> dict[str, AppTimes]:
    """By app. Zones were checked when they were read."""
    return {
        name: AppTimes(zone_of(app.time_zone) or UTC, tuple([each.window for each in app.quiet_hours]))
        for name, app in apps.items()
    }


QuietWindows = Annotated[tuple[QuietWindow, ...], Field(max_length=MAX_WINDOWS), AfterValidator(_checked)]
