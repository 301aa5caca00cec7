"""One bad app hurts only itself: breakers of a process, what operators have paused, and what either means for a job."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable
from enum import StrEnum
from random import Random
from typing import Final

import structlog

from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.send.abnormal import Limits
from pushcast.send.breaker import Breaker, Turn
from pushcast.send.decide import Guard
from pushcast.send.figures import Figures
from pushcast.send.tally import Tally
from pushcast.stream.ports import Outbox
from pushcast.wire import topics
from pushcast.wire.control.control import BreakerRecord as Announcement
from pushcast.wire.control.control import Kind, Subject, encode
from pushcast.wire.control.control_state import ControlChange, ControlEvent, ControlState
from pushcast.wire.sending.parked import Why

log = structlog.get_logger(__name__)

_CONTROL_PARTITION: Final = 0


def name_of_process() -> str:
    """By which a process knows its own announcements: another at each start, also in containers with one pid each."""
    return f"{socket.gethostname()[:200]}:{os.getpid()}:{secrets.token_hex(4)}"


class Breakers:
    """One per (app, platform), shared by the stages of a process. It belongs to the event loop.

    What opens or closes here is announced on the control topic; what others announce is heard from there.
    """

    def __init__(
        self,
        *,
        control: ControlState,
        outbox: Outbox,
        clock: Clock,
        figures: Figures,
        limits: Limits | None = None,
        random: Random | None = None,
        name: str | None = None,
    ) -> None:
        self.control = control
        self._outbox = outbox
        self._clock = clock
        self._figures = figures
        self._limits = limits or Limits()
        self._random = random or Random()
        self._name = name_of_process() if name is None else name
        self._breakers: dict[tuple[str, Platform], Breaker] = {}
        self._callbacks: list[Callable[[], None]] = []
        control.subscribe(self._heard)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Calls back when a way was blocked or freed."""
        self._callbacks.append(callback)

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Ends a subscription. Raises ValueError when there is none."""
        self._callbacks.remove(callback)

    def of(self, app: str, platform: Platform) -> Breaker:
        """Of a configured app. One that was announced as open before this process knew it begins open."""
        breaker = self._breakers.get((app, platform))
        if breaker is None:
            breaker = self._breakers[app, platform] = Breaker(self._limits, self._random)
            self._figures.breakers[app, platform] = breaker.state
            known = self.control.breaker(app, platform)
            if known is not None and known.is_open:
                self._hear(app, platform, breaker, known)
        return breaker

    def note(self, app: str, platform: Platform, tally: Tally, *, probes: bool) -> None:
        """Answers of one turn of the loop."""
        breaker = self.of(app, platform)
        now = self._clock.monotonic_seconds()
        if probes:
            turn = breaker.note_probes(tally, now)
        else:
            turn = breaker.note(tally, now, self._clock.now_ms())
        if turn is not None:
            self._announce(app, platform, breaker, turn)
            self._changed(app, platform, breaker)

    def _announce(self, app: str, platform: Platform, breaker: Breaker, turn: Turn) -> None:
        opened = turn is Turn.OPENED
        entry = Announcement(
            "open" if opened else "closed",
            breaker.reason,
            breaker.abnormal_since_ms,
            breaker.opened_at_ms,
            None if opened else self._clock.now_ms(),
            self._name,
        )
        key = Subject(Kind.BREAKER, app, platform).key()
        self._outbox.put(self._outbox.barrier(), topics.CONTROL, _CONTROL_PARTITION, encode(entry), key)
        if opened:
            self._figures.breakers_opened[app, platform, breaker.reason] += 1
            log.warning("breaker_opened", app=app, platform=str(platform), reason=breaker.reason)
        else:
            log.info("breaker_closed", app=app, platform=str(platform), reason=breaker.reason)

    def _heard(self, change: ControlChange) -> None:
        if change.event in (ControlEvent.PAUSED, ControlEvent.RESUMED):
            self._tell()
            return
        breaker = self._breakers.get((change.app, change.platform))
        known = self.control.breaker(change.app, change.platform)
        if breaker is not None and (known is None or known.by != self._name):
            self._hear(change.app, change.platform, breaker, known)

    def _hear(self, app: str, platform: Platform, breaker: Breaker, known: Announcement | None) -> None:
        now = self._clock.monotonic_seconds()
        before = breaker.closed
        if known is not None and known.is_open:
            breaker.heard_open(known.reason, known.abnormal_since_ms, now, self._clock.now_ms())
        else:
            breaker.heard_closed(now)
        if breaker.closed is not before:
            event = "breaker_closed_elsewhere" if breaker.closed else "breaker_opened_elsewhere"
            log.info(event, app=app, platform=str(platform), reason=breaker.reason)
            self._changed(app, platform, breaker)

    def _changed(self, app: str, platform: Platform, breaker: Breaker) -> None:
        self._figures.breakers[app, platform] = breaker.state
        self._tell()

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()


class Halted(StrEnum):
    """What an operator has done to a broadcast."""

    STOPPED = "stopped"
    HELD = "held"


class Isolation:
    """What the stage of one (platform, lane) asks about the way of an app's work."""

    #: Whether waiting work of a slow app may be kept aside.
    parks = True

    def __init__(self, breakers: Breakers, clock: Clock, platform: Platform, lane: Lane) -> None:
        self._breakers = breakers
        self._control = breakers.control
        self._clock = clock
        self._platform = platform
        self._lane = lane

    def look(self, apps: Iterable[str]) -> None:
        """Learns what was announced about these before this process could hear it."""
        for app in apps:
            self._breakers.of(app, self._platform)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Calls back when a way was blocked or freed."""
        self._breakers.subscribe(callback)

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Ends a subscription."""
        self._breakers.unsubscribe(callback)

    def blocked(self, app: str) -> Why | None:
        """Why an app's work must not leave now. With a breaker, `probes` may still let some out."""
        if self._control.paused(app, self._platform, self._lane):
            return Why.PAUSED
        return None if self._breakers.of(app, self._platform).closed else Why.BREAKER

    def halted(self, broadcast_id: str) -> Halted | None:
        """Whether an operator has stopped or held this broadcast."""
        if broadcast_id in self._control.stops:
            return Halted.STOPPED
        return Halted.HELD if broadcast_id in self._control.holds else None

    def probes(self, app: str, wanted: int) -> int:
        """How many targets may leave as probes."""
        return self._breakers.of(app, self._platform).probes(wanted, self._clock.monotonic_seconds())

    def forgo(self, app: str, probes: int) -> None:
        """Probes that did not leave, or whose answers will not come."""
        if probes:
            self._breakers.of(app, self._platform).forgo(probes)

    def note(self, app: str, tally: Tally, *, probes: bool) -> None:
        """Answers of one turn of the loop, before any of them is judged."""
        self._breakers.note(app, self._platform, tally, probes=probes)

    def guard(self, app: str) -> Guard:
        """How results of this app are judged now."""
        breaker = self._breakers.of(app, self._platform)
        if breaker.closed:
            return Guard.CLOSED
        return Guard.DOUBTS_TOKENS if breaker.doubts_tokens else Guard.OPEN


class Undisturbed(Isolation):
    """The null object: no breaker opens, nothing is paused and nothing parked. For tests of other things."""

    parks = False

    def __init__(self) -> None:
        """Knows no breakers."""

    def look(self, apps: Iterable[str]) -> None:
        """Learns nothing."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Never calls back."""

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Had no subscription."""

    def blocked(self, app: str) -> Why | None:
        """Never."""
        return None

    def halted(self, broadcast_id: str) -> Halted | None:
        """Never."""
        return None

    def forgo(self, app: str, probes: int) -> None:
        """There are none."""

    def note(self, app: str, tally: Tally, *, probes: bool) -> None:
        """Draws no conclusion."""

    def guard(self, app: str) -> Guard:
        """None."""
        return Guard.NONE
