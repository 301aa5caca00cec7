"""Keeps a log readable while a broker is away: clients write about a hundred lines a second then."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

#: Loggers of Kafka clients, and ours that report what they say.
CHATTY: Final = ("aiokafka", "confluent_kafka", "librdkafka", "faust", "mode", "pushcast.kafka")

_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class _Window:
    ends_at: float
    passed: int = 0
    suppressed: int = 0


class RateLimitFilter(logging.Filter):
    """Lets `lines` of a kind through per window. The first of a later window carries `suppressed`: how many were not.

    A kind is logger, level and message without its arguments and numbers. At most `max_kinds` are remembered, the
    longest unused is forgotten first. CRITICAL passes always. `total` counts all that were suppressed.
    """

    def __init__(
        self,
        loggers: Sequence[str] = CHATTY,
        *,
        lines: int = 5,
        window_seconds: float = 10.0,
        max_kinds: int = 500,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._loggers = tuple(loggers)
        self._prefixes = tuple(f"{name}." for name in loggers)
        self._lines = lines
        self._window_seconds = window_seconds
        self._max_kinds = max_kinds
        self._clock = clock
        self._kinds: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()
        self.total = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Called under the handler's lock."""
        if record.levelno >= logging.CRITICAL or not self._is_chatty(record.name):
            return True
        now = self._clock()
        kind = (record.name, record.levelno, _NUMBER.sub("#", str(record.msg)[:200]))
        window = self._kinds.get(kind)
        if window is None:
            window = self._kinds[kind] = _Window(now + self._window_seconds)
            if len(self._kinds) > self._max_kinds:
                self._kinds.popitem(last=False)
        self._kinds.move_to_end(kind)
        if now >= window.ends_at:
            if window.suppressed:
                record.suppressed = window.suppressed
            window.ends_at, window.passed, window.suppressed = now + self._window_seconds, 0, 0
        if window.passed < self._lines:
            window.passed += 1
            return True
        window.suppressed += 1
        self.total += 1
        return False

    def _is_chatty(self, name: str) -> bool:
        return name in self._loggers or name.startswith(self._prefixes)
