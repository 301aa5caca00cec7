"""How fast the campaigns, classes and apps of a configuration leave, and how much their providers take."""

from __future__ import annotations

from collections.abc import Mapping

from pushcast.config.providers import App
from pushcast.config.settings import Settings
from pushcast.model.pacing import Rated, Rates


def rates_of(settings: Settings, live: Mapping[str, Rated] | None = None) -> Rates:
    """`live`: of campaigns, by the control topic."""
    classes = {name: each.per_minute for name, each in settings.classes.items() if each.per_minute is not None}
    apps = {name: each.per_minute for name, each in settings.apps.items() if each.per_minute is not None}
    return Rates(settings.campaigns, classes, live, apps)


def fcm_quotas(apps: Mapping[str, App]) -> dict[str, int]:
    """Pushes that FCM takes in a minute, by app; apps without a quota are left out."""
    found = {name: app.fcm.pushes_per_minute for name, app in apps.items() if app.fcm is not None}
    return {name: quota for name, quota in found.items() if quota is not None}
