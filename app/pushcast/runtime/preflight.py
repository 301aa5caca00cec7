"""Everything a start would refuse, found at once: every file opened, every address parsed. Connects to nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pushcast.config.settings import Settings
from pushcast.kafka.security import faust_credentials, librdkafka_config
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.stream.token_keys import read_keys
from pushcast.wire.sealing.keyring import KeyringRole


def require(settings: Settings) -> None:
    """Raises ConfigurationError that names every fault."""
    if faults := problems(settings):
        raise ConfigurationError("configuration refused:\n  " + "\n  ".join(faults))


def problems(settings: Settings) -> list[str]:
    """A sentence for each fault; none when every role would start."""
    from pushcast.providers import registry
    from pushcast.send.build import quiesce_seconds

    security = settings.kafka.security
    steps: list[Callable[[], object]] = [lambda: librdkafka_config(security), lambda: faust_credentials(security)]
    for name, app in settings.apps.items():
        steps += [lambda n=name, p=platform: registry.build(n, p, settings) for platform in app.platforms()]  # type: ignore[misc]
    steps += [lambda p=platform: quiesce_seconds(settings, p) for platform in Platform]  # type: ignore[misc]
    if (keyring := settings.sealing.keyring_file) is not None:
        steps.append(lambda: read_keys(keyring, KeyringRole.SENDER))
    if any(getattr(app, platform).canary for app in settings.apps.values() for platform in app.platforms()):
        from pushcast.runtime.canaries import canaries_of

        steps.append(lambda: canaries_of(settings))
    steps += _of_doors(settings)
    found: list[str] = []
    for step in steps:
        try:
            step()
        except ConfigurationError as error:
            found.append(str(error))
    if (folder := _cannot_be_made(settings.data_dir)) is not None:
        found.append(folder)
    return list(dict.fromkeys(found))  # one deadline is too long for every platform


def _of_doors(settings: Settings) -> Iterator[Callable[[], object]]:
    """Opens what gateway, console and reporter open: one of them that refuses its file ends all of `run all`."""
    gateway, console, reports = settings.gateway, settings.console, settings.reports
    if gateway is not None or reports is not None:
        from pushcast.report.fetch import read_token
    if gateway is not None:
        from pushcast.gateway.anonymous import read_device_key
        from pushcast.gateway.keyring import read_first_keys
        from pushcast.gateway.user_tokens import read_keys as read_key_set

        if gateway.keys_file is not None:
            yield partial(read_first_keys, gateway.keys_file)
        yield partial(read_device_key, gateway.device_key_file)
        for app, each in gateway.identity.items():
            yield partial(read_key_set, {app: each.jwks_file})
        if gateway.sharing is not None:
            yield partial(read_token, gateway.sharing.token_file, "gateway.sharing.token_file")
    if console is not None and (secret := console.secret_file) is not None:
        from pushcast.runtime.console import read_secret

        yield partial(read_secret, secret, settings.data_dir)
    for name, door in (("gateway", gateway), ("console", console)):
        if door is not None and door.certificate_file is not None:
            from pushcast.runtime.door import tls_of

            yield partial(tls_of, name, door)
    if reports is not None:
        yield partial(read_token, reports.token_file)
    for webhook in settings.webhooks.values():
        from pushcast.webhook.signing import read_secrets

        yield partial(read_secrets, webhook.secret_file)


def readable_by_all(settings: Settings) -> list[str]:
    """A sentence for each secret file that every user of the machine may read."""
    return [
        f"{name}: {path} is readable by every user of this machine; chmod 600 it"
        for name, path in _files(settings)
        if path.is_file() and path.stat().st_mode & stat.S_IROTH and _is_secret(name, path)
    ]


def _is_secret(name: str, path: Path) -> bool:
    """Whether a file may hold what nobody else should read. A certificate is for everybody, unless its key is in it."""
    if name.endswith(("ca_file", "jwks_file")):
        return False
    if not name.endswith("certificate_file"):
        return True
    try:
        return b"PRIVATE KEY" in path.read_bytes()
    except OSError:
        return True


def _files(section: Any, name: str = "") -> Iterator[tuple[str, Path]]:
    """(setting, file) of every file that is set."""
    if isinstance(section, BaseModel):
        section = {key: getattr(section, key) for key in type(section).model_fields}
    if isinstance(section, dict):
        for key, value in section.items():
            yield from _files(value, f"{name}.{key}" if name else str(key))
    elif isinstance(section, Path) and name.endswith("_file"):
        yield name, section


def _cannot_be_made(folder: Path) -> str | None:
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not nearest.is_dir():
        return f"data_dir: {folder} cannot be made: {nearest} is a file"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"data_dir: {folder} cannot be made: {nearest} may not be written"
    return None
