"""From the line that a simulator says of itself to the configuration of an app that sends to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from pushcast.config.providers import Apns, Expo, Fcm, Webpush
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform

_SETTINGS: Final[Mapping[Platform, type[BaseModel]]] = {
    Platform.APNS: Apns,
    Platform.FCM: Fcm,
    Platform.EXPO: Expo,
    Platform.WEBPUSH: Webpush,
}


def provider_settings(line: Mapping[str, Any], app: str | None = None, *, url: str | None = None) -> dict[str, Any]:
    """`apps.<app>.<platform>` of pushcast.yaml, as plain values; None: the simulator's first app.

    `url`: another endpoint with the same credentials. Raises KeyError for an app that the simulator does not have.
    """
    platform = Platform(line["platform"])
    credentials = line["credentials"]["apps"][app] if app is not None else line["credentials"]
    chosen = {name: credentials[name] for name in _SETTINGS[platform].model_fields if name in credentials}
    chosen["ca_file"] = line["ca_file"]
    if platform is Platform.WEBPUSH:
        chosen["allow_loopback"] = True  # and no endpoint: each subscription has its own
    else:
        chosen["endpoint"] = url or line["url"]
    if platform is Platform.APNS:
        chosen["channels_endpoint"] = line["url"]  # else `pushcast channel` would ask Apple with simulated credentials
    return chosen


def write_into(file: Path, line: Mapping[str, Any]) -> None:
    """Sets the simulator's platform for each of its apps in a pushcast.yaml; the rest of its values stays.

    The file is made when there is none. Comments are lost. Raises ConfigurationError when it is not a mapping, OSError.
    """
    known = yaml.safe_load(file.read_text()) if file.exists() else None
    configuration = {} if known is None else known
    if not isinstance(configuration, dict):
        raise ConfigurationError(f"{file}: not a mapping")
    apps = configuration.setdefault("apps", {})
    for app in line["credentials"]["apps"]:
        apps.setdefault(app, {})[str(line["platform"])] = provider_settings(line, app)
    file.write_text(yaml.safe_dump(configuration, sort_keys=False))
