"""What a command that needs Kafka begins with, and what its user typed held against the configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from pushcast.config.servers import servers
from pushcast.config.settings import Settings, load
from pushcast.kafka.reach import require_broker
from pushcast.kafka.topics.facts import check_cluster
from pushcast.model.errors import ConfigurationError


def connect(bootstrap_servers: str | None = None) -> Settings:
    """The settings, once a broker of theirs takes connections. Raises ConfigurationError, Unreachable.

    `bootstrap_servers` stands above what is configured.
    """
    settings = load()
    if bootstrap_servers is not None:
        try:
            named = servers(bootstrap_servers, settings.kafka.security.protocol)
        except ValueError as error:
            raise ConfigurationError(f"--bootstrap-servers: {error}") from None
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": named})
        settings = settings.model_copy(update={"kafka": kafka})
    require_broker(settings.kafka.bootstrap_servers)
    return settings


def connect_by_user() -> Settings:
    """`connect`, for what reads or writes by user: with another `kafka.partitions` than the cluster's, users would be
    looked for in the wrong partitions. Raises PartitionsDiffer and ClusterUnavailable besides."""
    settings = connect()
    check_cluster(settings)
    return settings


def require_app(settings: Settings, app: str) -> None:
    """Raises ConfigurationError for an app that the configuration does not know."""
    if app not in settings.apps:
        known = ", ".join(sorted(settings.apps)) or "none"
        raise ConfigurationError(f"there is no app {app!r} in the configuration; apps are: {known}")


def content_of(file: Path) -> bytes:
    """A whole file; - is stdin. Raises ConfigurationError for one that cannot be read."""
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
