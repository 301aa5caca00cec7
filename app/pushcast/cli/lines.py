"""Lines of JSON on their way to an intake topic: each is held against the decoder of the stage that will read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pushcast.cli.output import say
from pushcast.config.settings import Settings
from pushcast.kafka.intake import IntakeProducer, event_of
from pushcast.model.errors import InvalidInput
from pushcast.wire.class_rules import class_rules
from pushcast.wire.content_sizes import check_size
from pushcast.wire.devices import DeviceChangeDecoder
from pushcast.wire.notifications import NotificationDecoder

#: (user, value, milliseconds); raises InvalidInput, as the stage will, for what would become a dead letter.
Check = Callable[[str, bytes, int], object]
#: A line of a file, from 1, or what was found wrong with it before it became JSON.
NumberedLine = tuple[int, bytes | InvalidInput]


def notification_check(settings: Settings) -> Check:
    """What PLAN says of a notification."""
    rules = class_rules(settings.classes)
    decode = NotificationDecoder(settings.apps, rules, max_ahead_ms=settings.keep.max_ahead_ms).decode

    def check(user: str, value: bytes, now_ms: int) -> None:
        check_size(decode(user, value, now_ms))

    return check


def device_check(settings: Settings) -> Check:
    """What REGISTER says of a device change."""
    return DeviceChangeDecoder(settings.apps).decode


class Lines:
    """Writes lines and counts those that it refused, each with the field at fault on stderr."""

    def __init__(self, producer: IntakeProducer, check: Check | None) -> None:
        """`check` None: everything that is JSON with a `user` is written, whatever becomes of it."""
        self._producer = producer
        self._check = check
        self.refused = 0

    def write(
        self, lines: Iterable[NumberedLine], topic_of: Callable[[dict[str, Any]], str]
    ) -> Iterator[tuple[str, str]]:
        """(user, id or device) of every line that was written."""
        for number, line in lines:
            try:
                if isinstance(line, InvalidInput):
                    raise line
                user, event, value = event_of(line)
                if self._check is not None:
                    self._check(user, value, round(time.time() * 1000))
                self._producer.put(topic_of(event), user, value)
            except InvalidInput as error:
                self.refused += 1
                field = "" if error.field is None or error.field in str(error) else f" (field {error.field})"
                say(f"line {number}: {error.reason}: {error}{field}")
            else:
                yield user, str(event.get("id") or event.get("device") or "")
