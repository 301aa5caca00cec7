"""Lines of JSON on their way to an intake topic: each is held against the decoder of the stage that will read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pushcast.cli.output import say
from pushcast.config.rates import rates_of
from pushcast.config.settings import Settings
from pushcast.kafka.intake import IntakeProducer, event_of
from pushcast.model.errors import InvalidInput
from pushcast.model.pacing import Rated
from pushcast.model.rate_outlook import RateOutlook, TooSlow
from pushcast.model.words import Lane
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.content_sizes import check_size
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.events.timings import check_spread
from pushcast.wire.json_errors import written

#: (user, value, milliseconds); raises InvalidInput, as the stage will, for what would become a dead letter.
Check = Callable[[str, bytes, int], object]
#: A line of a file, from 1, or what was found wrong with it before it became JSON.
NumberedLine = tuple[int, bytes | InvalidInput]


def written_or_refused(event: dict[str, Any]) -> bytes | InvalidInput:
    """A line of it, or what is wrong with it."""
    try:
        return written(event)
    except InvalidInput as error:
        return error


class NotificationCheck:
    """What PLAN says of notifications, and which rates are too slow for those that passed."""

    def __init__(self, settings: Settings, live: Callable[[], Mapping[str, Rated]], lane: Lane | None = None) -> None:
        """`live`: reads the rates of campaigns that the control topic has; asked once, when there is a campaign.
        `lane`: of all of them; None: each has its class's."""
        self._lane = lane
        self._lanes = {name: each.lane for name, each in settings.classes.items()}
        rules = class_rules(settings.classes)
        self._decode = NotificationDecoder(settings.apps, rules, max_ahead_ms=settings.keep.max_ahead_ms).decode
        self._settings = settings
        self._read_live = live
        self._live: dict[str, Rated] = {}
        self._knows_live = False
        self._outlook: RateOutlook | None = None

    def __call__(self, user: str, value: bytes, now_ms: int) -> None:
        note = self._decode(user, value, now_ms)
        check_size(note)
        if note.timing is not None:
            check_spread(note.timing, self._lane or self._lanes[note.klass])
        if note.campaign is not None and not self._knows_live:
            self._live.update(self._read_live())
            self._knows_live = True
        if self._outlook is None:
            self._outlook = RateOutlook(rates_of(self._settings, self._live), now_ms)
        self._outlook.add(note)

    def too_slow(self) -> list[TooSlow]:
        """Rates at which some of these expire before they may leave."""
        return [] if self._outlook is None else self._outlook.too_slow()


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
