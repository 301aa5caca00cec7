"""What a notification would look like and weigh on each platform, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushcast.config.settings import Settings
from pushcast.gateway.events import decoded, plain_event
from pushcast.gateway.sizes import Measured, Sizes
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.notifications import NotificationDecoder

#: Stands in for the user of a broadcast.
SOMEBODY = "somebody"


class Previews:
    """Checks as PLAN does and renders as the senders do."""

    def __init__(self, settings: Settings) -> None:
        self._decode = NotificationDecoder(settings.apps, class_rules(settings.classes)).decode
        self._sizes = Sizes(settings)

    def of(self, event: Mapping[str, Any], now_ms: int) -> list[Measured]:
        """`event`: as its JSON form has it, with a user. Raises Problem for what PLAN would make a dead letter."""
        plain = plain_event(str(event["user"]), str(event["id"]), dict(event))
        return self._sizes.measure(decoded(self._decode, plain, now_ms))
