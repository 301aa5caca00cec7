"""`caps`: how many notifications a user gets in a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pushcast.config.strict import Strict
from pushcast.model.caps import CapRule

MAX_CAPS = 10


class Cap(Strict):
    """One rule. Either `window_seconds`, which rolls, or `calendar`, in the user's zone."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    classes: tuple[str, ...] | Literal["*"] = "*"  # whose notifications count
    app: str = "*"  # notifications of this app count; "*": of all together
    limit: int = Field(ge=1, le=100)
    window_seconds: int | None = Field(default=None, ge=1, le=2_678_400)  # at most 31 days
    calendar: Literal["day", "week", "month"] | None = None  # weeks begin on Monday
    # What becomes of one too many: it ends, waits until a slot is free, or joins a digest that leaves then.
    on_exceed: Literal["drop", "hold", "digest"] = "drop"

    @model_validator(mode="after")
    def _one_kind_of_time(self) -> Self:
        if (self.window_seconds is None) == (self.calendar is None):
            raise ValueError("set either window_seconds or calendar")
        return self

    @property
    def rule(self) -> CapRule:
        """As the keeper has it."""
        return CapRule(
            self.name,
            self.limit,
            None if self.classes == "*" else frozenset(self.classes),
            None if self.app == "*" else self.app,
            (self.window_seconds or 0) * 1000,
            self.calendar,
            self.on_exceed,
        )


def refuse_wrong(caps: Iterable[Cap], classes: Iterable[str], apps: Iterable[str]) -> None:
    """Raises ValueError for names that the configuration does not have, or has twice."""
    known_classes, known_apps, names = set(classes), set(apps), set[str]()
    for cap in caps:
        if cap.name in names:
            raise ValueError(f"caps: two are called {cap.name}")
        names.add(cap.name)
        if cap.classes != "*" and (unknown := sorted(set(cap.classes) - known_classes)):
            raise ValueError(f"caps: {cap.name} names the class {unknown[0]}, which there is not")
        if cap.app != "*" and cap.app not in known_apps:
            raise ValueError(f"caps: {cap.name} names the app {cap.app}, which there is not")
