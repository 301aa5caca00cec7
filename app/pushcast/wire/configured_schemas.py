"""Where writer schemas of Confluent frames come from, by the settings. The registry's client is imported when there is
one: whoever has none saves its memory."""

from __future__ import annotations

from pushcast.config.settings import Settings
from pushcast.wire.schemas import SchemaSource


def schemas_of(settings: Settings) -> SchemaSource | None:
    """Confluent frames are readable only with a registry. It belongs to the event loop."""
    if settings.schemas.registry_url is None:
        return None
    from pushcast.wire.registry import RegistrySchemas

    return RegistrySchemas(settings.schemas.registry_url)


def schemas_for_tool(settings: Settings) -> SchemaSource | None:
    """For what reads once, on one thread: it blocks while it asks the registry."""
    if settings.schemas.registry_url is None:
        return None
    from pushcast.wire.registry import ToolSchemas

    return ToolSchemas(settings.schemas.registry_url)
