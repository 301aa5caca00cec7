"""How fast the campaigns, classes and apps of a configuration leave."""

from __future__ import annotations

from collections.abc import Mapping

from pushcast.config.settings import Settings
from pushcast.model.pacing import Rated, Rates


def rates_of(settings: Settings, live: Mapping[str, Rated] | None = None) -> Rates:
    """`live`: of campaigns, by the control topic."""
    classes = {name: each.per_minute for name, each in settings.classes.items() if each.per_minute is not None}
    apps = {name: each.per_minute for name, each in settings.apps.items() if each.per_minute is not None}
    return Rates(settings.campaigns, classes, live, apps)
