"""How fast the campaigns and classes of a configuration leave."""

from __future__ import annotations

from collections.abc import Mapping

from pushcast.config.settings import Settings
from pushcast.model.pacing import Rated, Rates


def rates_of(settings: Settings, live: Mapping[str, Rated] | None = None) -> Rates:
    """`live`: of campaigns, by the control topic."""
    classes = {name: each.per_minute for name, each in settings.classes.items() if each.per_minute is not None}
    return Rates(settings.campaigns, classes, live)
