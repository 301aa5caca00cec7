"""Which devices a removal is for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pushcast.config.providers import App
from pushcast.model.words import Platform


def removals_of(apps: Mapping[str, App]) -> frozenset[tuple[str, str]]:
    """(app, platform) of the devices that take removals, as their apps are configured.

    On Web Push a browser shows "this site has been updated in the background" for a push that shows nothing, so it
    takes none unless its operator says so.
    """
    return frozenset(
        (name, str(platform))
        for name, app in apps.items()
        for platform in Platform
        if not (platform is Platform.APNS and app.apns is not None and app.apns.removal == "off")
        and not (platform is Platform.WEBPUSH and (app.webpush is None or app.webpush.removal == "off"))
    )
