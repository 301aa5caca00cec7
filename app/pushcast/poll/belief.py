"""Whether receipts are believed that call tokens dead: when too many do at once, something else is wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Final

import structlog

from pushcast.model.clock import Clock
from pushcast.model.words import Platform
from pushcast.providers.breadth import Breadth, WantedBreadth, Witness
from pushcast.providers.expo.receipts import Polled
from pushcast.providers.port import Disposition
from pushcast.providers.suspicion import MASS_INVALID_TOKENS, Suspicion, SuspicionLimits
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire import topics
from pushcast.wire.control.control import BreakerRecord, Kind, Subject, encode
from pushcast.wire.sending.tickets import TicketBatch

log = structlog.get_logger(__name__)

_CONTROL_PARTITION: Final = 0
#: A record of tickets holds those of many pushes: it is not counted.
_WANTED: Final = WantedBreadth(records=1)


class Belief:
    """Of one app. When disbelief begins, its breaker is announced as open, so that REGISTER lifts what earlier receipts
    suspended; senders close it again when their own probes get through."""

    def __init__(
        self, app: str, platform: Platform, outbox: Outbox, clock: Clock, limits: SuspicionLimits, invalid_in_a_row: int
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
        self._dead_in_a_row = Breadth(_WANTED)
        self._dead = Breadth(_WANTED)  # of this window
        self._dead_before = Breadth(_WANTED)  # of the one before
        self._window_began_at = 0.0
        self._suspicious = False

    def believed(self, barrier: Barrier, answer: Polled, asked: Iterable[TicketBatch]) -> Polled:
        """The answer; while tokens are dead in masses, without the receipts that say so: they are asked for again.

        `asked`: the tickets in question. What few users or tokens are told says nothing about the others.
        """
        told = [verdict.disposition for verdict in answer.verdicts.values()]
        invalid = told.count(Disposition.INVALID)
        alive = told.count(Disposition.ACCEPTED)
        now = self._clock.monotonic_seconds()
        self._in_a_row = 0 if alive else self._in_a_row + invalid
        masses = self._suspicion.note(now, invalid + alive, invalid)
        in_masses, in_a_row = self._of_many(now, bool(alive), _dead(answer, asked) if invalid else [])
        before = self._suspicious
        suspicious = (masses and in_masses) or (self._in_a_row >= self._most_in_a_row and in_a_row)
        self._suspicious = suspicious
        if suspicious is not before:
            event = "receipts_call_masses_of_tokens_dead" if suspicious else "receipts_believed_again"
            log.warning(event, app=self._app, platform=str(self._platform))
            if suspicious:
                self._announce(barrier)
        if not suspicious or not invalid:
            return answer
        return Polled({k: v for k, v in answer.verdicts.items() if v.disposition is not Disposition.INVALID})

    def _of_many(self, now: float, alive: bool, dead: list[Witness]) -> tuple[bool, bool]:
        """Whether the dead tokens of the last window or two, and those in a row, are of many."""
        if now - self._window_began_at >= self._suspicion.limits.window_seconds:
            self._window_began_at = now
            self._dead_before, self._dead = self._dead, Breadth(_WANTED)
        self._dead.add(dead)
        if alive:
            self._dead_in_a_row.clear()
        else:
            self._dead_in_a_row.add(dead)
        both = Breadth(_WANTED)
        both.join(self._dead_before)
        both.join(self._dead)
        return both.of_many, self._dead_in_a_row.of_many

    def _announce(self, barrier: Barrier) -> None:
        now_ms = self._clock.now_ms()
        window_ms = round(self._suspicion.limits.window_seconds * 1000)
        by = f"{socket.gethostname()}:{os.getpid()}"
        entry = BreakerRecord("open", MASS_INVALID_TOKENS, now_ms - window_ms, now_ms, by=by[:500])
        key = Subject(Kind.BREAKER, self._app, self._platform).key()
        self._outbox.put(barrier, topics.CONTROL, _CONTROL_PARTITION, encode(entry), key)


def _dead(answer: Polled, asked: Iterable[TicketBatch]) -> list[Witness]:
    verdicts = answer.verdicts
    return [
        Witness(token, user, "")
        for tickets in asked
        for name, user, token in zip(tickets.ticket_id, tickets.user, tickets.token_hash, strict=True)
        if name in verdicts and verdicts[name].disposition is Disposition.INVALID
    ]
