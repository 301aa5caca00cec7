"""Which devices get what Pushcast makes itself. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping

from pushcast.config.providers import App
from pushcast.model.ids import device_name, split_device_row_key
from pushcast.model.notification import Notification
from pushcast.model.own import OwnClass
from pushcast.model.recalls import messages_of, only_of, scope_of, shows
from pushcast.model.words import Platform
from pushcast.wire.devices.row_reader import Device


def takers_of(apps: Mapping[str, App]) -> dict[str, frozenset[tuple[str, str]]]:
    """(app, platform) of the devices that get what Pushcast makes itself, by its class. Browsers have no badge."""
    phones = frozenset((name, str(each)) for name in apps for each in Platform if each is not Platform.WEBPUSH)
    return {OwnClass.REMOVE: removals_of(apps), OwnClass.BADGE: phones}


def takes(note: Notification, device: Device, takers: Container[tuple[str, str]]) -> bool:
    """Whether a device gets what Pushcast made itself: one of which a push service may have something, always."""
    if note.klass == OwnClass.REMOVE and not scope_of(note.id).reaches(device.platform):
        return False
    platforms = note.content.platforms
    if (device.app, device.platform) in takers:
        is_removal = note.klass == OwnClass.REMOVE and bool(platforms)
        return not is_removal or shows(device.platform, device_name(device.key), only_of(platforms))
    return bool(platforms) and bool(messages_of(platforms, split_device_row_key(device.key)[2]))


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
