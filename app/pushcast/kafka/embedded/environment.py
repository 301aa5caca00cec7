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
        """Raises SettingError for a mirror that is no http(s) URL and for a CA file that is not there."""
        mirror = values.get("PUSHCAST_MAVEN_MIRROR") or None
        if mirror is not None and (urlsplit(mirror).scheme not in {"http", "https"} or not urlsplit(mirror).hostname):
            raise SettingError("PUSHCAST_MAVEN_MIRROR must be an http:// or https:// URL of a Maven repository")
        ca_file = _path(values, "PUSHCAST_CA_FILE")
        if ca_file is not None and not ca_file.is_file():
            raise SettingError(f"PUSHCAST_CA_FILE names {ca_file}, which is not a file")
        home_cache = _path(values, "XDG_CACHE_HOME") or Path.home() / ".cache"
        home_data = _path(values, "XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return cls(
            cache_dir=_path(values, "PUSHCAST_CACHE_DIR") or home_cache / "pushcast",
            data_dir=home_data / "pushcast" / "kafka",
            maven_mirror=mirror.rstrip("/") if mirror else None,
            ca_file=ca_file,
            java=_path(values, "PUSHCAST_JAVA"),
        )


def _path(values: Mapping[str, str], name: str) -> Path | None:
    value = values.get(name)
    return Path(value).expanduser().absolute() if value else None
