"""Whether receipts are believed that call tokens dead: when too many do at once, something else is wrong."""

from __future__ import annotations

import os
import socket
from typing import Final

import structlog

from pushcast.model.clock import Clock
from pushcast.model.words import Platform
from pushcast.providers.expo.receipts import Polled
from pushcast.providers.port import Disposition
from pushcast.providers.suspicion import MASS_INVALID_TOKENS, Limits, Suspicion
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.control import Breaker, Kind, Subject, encode

log = structlog.get_logger(__name__)

_CONTROL_PARTITION: Final = 0


class Belief:
    """Of one app. When disbelief begins, its breaker is announced as open, so that REGISTER lifts what earlier receipts
    suspended; senders close it again when their own probes get through."""

    def __init__(
        self, app: str, platform: Platform, outbox: Outbox, clock: Clock, limits: Limits, invalid_in_a_row: int
    ) -> None:
        """`invalid_in_a_row`: dead tokens without a live one between are not believed either, however slowly they come:
        an app with little to send never has as many within a minute as `limits` want. A share above 1 is never met."""
        self._app = app
        self._platform = platform
        self._outbox = outbox
        self._clock = clock
        self._suspicion = Suspicion(limits)
        self._most_in_a_row = float("inf") if limits.share > 1 else invalid_in_a_row
        self._in_a_row = 0
        self._suspicious = False

    def believed(self, barrier: Barrier, answer: Polled) -> Polled:
        """The answer; while tokens are dead in masses, without the receipts that say so: they are asked for again."""
        told = [verdict.disposition for verdict in answer.verdicts.values()]
        invalid = told.count(Disposition.INVALID)
        alive = told.count(Disposition.ACCEPTED)
        self._in_a_row = 0 if alive else self._in_a_row + invalid
        masses = self._suspicion.note(self._clock.monotonic_seconds(), invalid + alive, invalid)
        before, suspicious = self._suspicious, masses or self._in_a_row >= self._most_in_a_row
        self._suspicious = suspicious
        if suspicious is not before:
            event = "receipts_call_masses_of_tokens_dead" if suspicious else "receipts_believed_again"
            log.warning(event, app=self._app, platform=str(self._platform))
            if suspicious:
                self._announce(barrier)
        if not suspicious or not invalid:
            return answer
        return Polled({k: v for k, v in answer.verdicts.items() if v.disposition is not Disposition.INVALID})

    def _announce(self, barrier: Barrier) -> None:
        now_ms = self._clock.now_ms()
        window_ms = round(self._suspicion.limits.window_seconds * 1000)
        by = f"{socket.gethostname()}:{os.getpid()}"
        entry = Breaker("open", MASS_INVALID_TOKENS, now_ms - window_ms, now_ms, by=by[:500])
        key = Subject(Kind.BREAKER, self._app, self._platform).key()
        self._outbox.put(barrier, topics.CONTROL, _CONTROL_PARTITION, encode(entry), key)
