"""How reports read what apps write: with schemas of the registry, where there is one."""

from __future__ import annotations

from typing import Final

from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.engagement import EngagementDecoder
from pushcast.wire.schemas import SchemaSource


class EventDecoders:
    """Of `push.engagement.v1`, and of `push.device.changed.v1` for what it says of users who are forgotten."""

    def __init__(self, schemas: SchemaSource | None = None) -> None:
        """`schemas`: made to know what the events are written in, before they are read; without it Confluent frames
        are not readable."""
        self.engagements = EngagementDecoder(schemas)
        self.changes = DeviceChangeDecoder((), schemas)


WITHOUT_REGISTRY: Final = EventDecoders()
