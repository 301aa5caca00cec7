"""The environment variables that the embedded Kafka reads. They are not part of the settings tree: it must be able to
run before there is any configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pushcast.kafka.embedded.errors import SettingError

#: The settings tree refuses unknown PUSHCAST_* names; it must let these through.
ENVIRONMENT_NAMES = frozenset(
    {
        "PUSHCAST_CACHE_DIR",
        "PUSHCAST_CA_FILE",
        "PUSHCAST_JAVA",
        "PUSHCAST_MAVEN_MIRROR",
    }
)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where jars are cached, where they come from, and which Java runs them.

    `maven_mirror` None means Maven Central. Proxies are not here: requests reads HTTPS_PROXY and NO_PROXY itself.
    """

    cache_dir: Path
    data_dir: Path
    maven_mirror: str | None = None
    ca_file: Path | None = None
    java: Path | None = None

    @classmethod
    def read(cls, values: Mapping[str, str] = os.environ) -> Environment:
        """Raises SettingError for a mirror that is no http(s) URL, a CA file that is not there, and no home at all."""
        mirror = values.get("PUSHCAST_MAVEN_MIRROR") or None
        if mirror is not None and (urlsplit(mirror).scheme not in {"http", "https"} or not urlsplit(mirror).hostname):
            raise SettingError("PUSHCAST_MAVEN_MIRROR must be an http:// or https:// URL of a Maven repository")
        ca_file = _path(values, "PUSHCAST_CA_FILE")
        if ca_file is not None and not ca_file.is_file():
            raise SettingError(f"PUSHCAST_CA_FILE names {ca_file}, which is not a file")
        home_cache = _path(values, "XDG_CACHE_HOME")
        return cls(
            cache_dir=_path(values, "PUSHCAST_CACHE_DIR") or (home_cache or _home() / ".cache") / "pushcast",
            data_dir=(_path(values, "XDG_DATA_HOME") or _home() / ".local" / "share") / "pushcast" / "kafka",
            maven_mirror=mirror.rstrip("/") if mirror else None,
            ca_file=ca_file,
            java=_path(values, "PUSHCAST_JAVA"),
        )


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # as in a container with a user id that /etc/passwd does not know
        message = "this user has no home directory: set HOME, or XDG_DATA_HOME and PUSHCAST_CACHE_DIR"
        raise SettingError(message) from None


def _path(values: Mapping[str, str], name: str) -> Path | None:
    value = values.get(name)
    try:
        return Path(value).expanduser().absolute() if value else None
    except RuntimeError:
        raise SettingError(f"{name} begins with a home directory that is not known") from None
