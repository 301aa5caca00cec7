"""Changes topics behind Pushcast's back."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

DEADLINE_SECONDS = 90


def settings_of(admin: AdminClient, topic: str) -> dict[str, str]:
    """Effective settings, as some broker knows them."""
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return {entry.name: entry.value for entry in future.result().values()}


def alter(admin: AdminClient, topic: str, settings: Mapping[str, str]) -> None:
    """Sets them by hand and waits until a broker shows them: the controller's answer comes before that."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not settings.items() <= settings_of(admin, topic).items():
        assert time.monotonic() < deadline, f"{topic} does not show {settings}"
