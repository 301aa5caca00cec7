"""What the records of `push.control.v1` amount to. Pure; one per process, fed by `kafka.control`."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from pushcast.model.audience import Node
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import (
    BreakerRecord,
    CampaignCancel,
    CanaryWord,
    Entry,
    Halt,
    Kind,
    Name,
    Pause,
    Rate,
    Reached,
    SegmentRecord,
    StepDecision,
    Subject,
    WebhookOrder,
)
from pushcast.wire.control.control_reader import decode, parse_key
from pushcast.wire.events.audiences import parse_where

logger = logging.getLogger(__name__)

#: Pauses and breakers that are remembered, and canaries; further ones are ignored. Apps times platforms is far below.
MAX_ENTRIES: Final = 10_000
#: Stops, holds and segments that are remembered, of each kind. The command line refuses one more.
MAX_NAMES: Final = 10_000
#: Abnormal windows that are remembered of one (app, platform).
MAX_WINDOWS: Final = 16


class ControlEvent(StrEnum):
    """What a change means."""

    PAUSED = "paused"
    RESUMED = "resumed"
    OPENED = "opened"  # or, while open: its abnormal window is found to have begun earlier
    CLOSED = "closed"  # by another sender than before, possibly: each that had opened says so


class ControlChange(NamedTuple):
    """`lane` None: every lane; always None for breakers."""

    event: ControlEvent
    app: str
    platform: Platform
    lane: Lane | None = None


class ControlState:
    """Apply records in their order. Callbacks run within `apply`, in order of subscription; they must not raise.

    What is there at the start (`live` not yet set) is told to nobody: ask for it. `ignored` counts malformed records by
    reason; the first of each reason is logged. `current_at`: when all that was written was known, for certain; in
    CLOCK_BOOTTIME seconds, infinite where nobody follows the topic.
    """

    def __init__(self) -> None:
        self.live = False
        self.current_at = math.inf
        self.ignored: Counter[str] = Counter()
        self.pauses: dict[Subject, Pause] = {}
        self.breakers: dict[tuple[str, Platform], BreakerRecord] = {}
        self.canaries: dict[tuple[str, Platform], CanaryWord] = {}
        self.stops: dict[str, Halt] = {}  # by broadcast id
        self.holds: dict[str, Halt] = {}
        self.steps: dict[str, StepDecision] = {}
        self.campaigns: dict[str, CampaignCancel] = {}  # that are cancelled, by name
        self.paces: dict[str, Rate] = {}  # of campaigns, by name
        self.segments: dict[str, Node] = {}
        self.reached: dict[str, Reached] = {}  # by app and host: push services that answered after they were given up
        self.webhooks: dict[str, WebhookOrder] = {}
        self.sweeps: dict[str, Halt] = {}  # that may remove whatever they find, by day
        self._paused: set[tuple[str, str, str]] = set()  # app, platform, lane
        self._windows: dict[tuple[str, str], list[tuple[int, int | None]]] = {}  # began, ended
        self._callbacks: list[Callable[[ControlChange], None]] = []
        self._of_cancels: list[Callable[[], None]] = []

    def subscribe(self, callback: Callable[[ControlChange], None]) -> None:
        """Calls back after every change that makes a difference."""
        self._callbacks.append(callback)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Calls back when a campaign was cancelled, also before `live`. It must not raise."""
        self._of_cancels.append(callback)

    def paused(self, app: str, platform: Platform, lane: Lane) -> bool:
        """Whether an operator has paused it. Cheap."""
        return (app, platform, lane) in self._paused

    def breaker(self, app: str, platform: Platform) -> BreakerRecord | None:
        """The last word on it; None when nobody ever said one."""
        return self.breakers.get((app, platform))

    def held(self, app: str, platform: Platform, lane: Lane) -> bool:
        """Whether parked work of it stays where it is: paused, or its breaker is open. Cheap."""
        if (app, platform, lane) in self._paused:
            return True
        breaker = self.breakers.get((app, platform))
        return breaker is not None and breaker.is_open

    def abnormal(self, app: str, platform: Platform, at_ms: int) -> bool:
        """Whether a verdict on a token that was given at this time is not to be believed.

        True from the beginning of an abnormal window until its breaker closed. The last 16 windows are remembered.
        """
        windows = self._windows.get((app, platform), ())
        return any(began <= at_ms and (ended is None or at_ms <= ended) for began, ended in windows)

    def apply(self, key: bytes | None, value: bytes | None) -> ControlChange | None:
        """Takes the next record; returns what it changed, None for nothing. A malformed one changes nothing."""
        try:
            subject = parse_key(key)
            entry = None if value is None else decode(subject, value)
            if isinstance(subject, Name):
                self._name(subject, entry)
                return None
            if subject.kind is Kind.CANARY:
                self._canary(subject, entry)
                return None
            if entry is not None:
                self.check_room(subject)
        except InvalidInput as error:
            if not self.ignored[error.reason]:
                logger.warning("control records that are ignored: %s: %s", error.reason, error)
            self.ignored[error.reason] += 1
            return None
        if subject.kind is Kind.PAUSE:
            change = self._pause(subject, entry if isinstance(entry, Pause) else None)
        else:
            change = self._announce(subject, entry if isinstance(entry, BreakerRecord) else None)
        if change is not None and self.live:
            for callback in self._callbacks:
                callback(change)
        return change

    def check_room(self, subject: Subject | Name) -> None:
        """Raises InvalidInput (too_many) where a record of this name would be ignored, because so many are known: who
        writes one asks before."""
        if self.has_room(subject):
            return
        if isinstance(subject, Name):
            raise InvalidInput("too_many", f"more than {MAX_NAMES:,} records of {subject.kind}/ are not remembered")
        raise InvalidInput("too_many", f"more than {MAX_ENTRIES} pauses and breakers are not remembered")

    def has_room(self, subject: Subject | Name) -> bool:
        """Whether a record of this name would be taken."""
        if isinstance(subject, Name):
            known = self._names(subject.kind)
            return len(known) < MAX_NAMES or subject.name in known
        is_known = subject in self.pauses or (subject.app, subject.platform) in self.breakers
        return is_known or len(self.pauses) + len(self.breakers) < MAX_ENTRIES

    def segment(self, name: str) -> Node | None:
        """What a named audience stands for now; None: there is none of this name."""
        return self.segments.get(name)

    def _names(self, kind: Kind) -> dict[str, Any]:
        """What is known under the names of a kind."""
        kinds: dict[Kind, dict[str, Any]] = {
            Kind.STOP: self.stops,
            Kind.HOLD: self.holds,
            Kind.STEP: self.steps,
            Kind.CANCEL: self.campaigns,
            Kind.PACE: self.paces,
            Kind.SEGMENT: self.segments,
            Kind.REACHED: self.reached,
            Kind.WEBHOOK: self.webhooks,
            Kind.SWEEP: self.sweeps,
        }
        return kinds[kind]

    def _name(self, subject: Name, entry: Entry | None) -> None:
        known = self._names(subject.kind)
        if entry is None:
            known.pop(subject.name, None)
            return
        if subject.kind is Kind.REACHED and not self.has_room(subject):
            del known[next(iter(known))]  # what was announced long ago ends no hold any more
        self.check_room(subject)
        known[subject.name] = parse_where(entry.where, "where") if isinstance(entry, SegmentRecord) else entry
        if subject.kind is Kind.CANCEL:
            for callback in self._of_cancels:
                callback()

    def _canary(self, subject: Subject, entry: Entry | None) -> None:
        where = subject.app, subject.platform
        if isinstance(entry, CanaryWord):
            if where not in self.canaries and len(self.canaries) >= MAX_ENTRIES:
                raise InvalidInput("too_many", f"more than {MAX_ENTRIES} canaries are not remembered")
            self.canaries[where] = entry
        else:
            self.canaries.pop(where, None)

    def _pause(self, subject: Subject, pause: Pause | None) -> ControlChange | None:
        known = self.pauses.get(subject)
        if pause == known:
            return None
        if pause is None:
            del self.pauses[subject]
        else:
            self.pauses[subject] = pause
        self._note_paused(subject.app, subject.platform)
        if pause is not None and known is not None:
            return None  # another comment
        event = ControlEvent.RESUMED if pause is None else ControlEvent.PAUSED
        return ControlChange(event, subject.app, subject.platform, subject.lane)

    def _note_paused(self, app: str, platform: Platform) -> None:
        general = Subject(Kind.PAUSE, app, platform) in self.pauses
        for lane in Lane:
            if general or Subject(Kind.PAUSE, app, platform, lane) in self.pauses:
                self._paused.add((app, platform, lane))
            else:
                self._paused.discard((app, platform, lane))

    def _announce(self, subject: Subject, breaker: BreakerRecord | None) -> ControlChange | None:
        where = subject.app, subject.platform
        known = self.breakers.get(where)
        if breaker is None:  # nobody of ours writes it: an operator who cleans up
            if self.breakers.pop(where, None) is None:
                return None
            self._end_window(where, None)
            return ControlChange(ControlEvent.CLOSED, *where) if known is not None and known.is_open else None
        if not breaker.is_open:
            self.breakers[where] = breaker
            self._end_window(where, breaker)
            return None if breaker == known else ControlChange(ControlEvent.CLOSED, *where)
        if known is not None and known.is_open:
            if breaker.abnormal_since_ms >= known.abnormal_since_ms:
                return None  # said before
            breaker = msgspec.structs.replace(breaker, opened_at_ms=min(breaker.opened_at_ms, known.opened_at_ms))
            self._windows[where].pop()
        self.breakers[where] = breaker
        windows = self._windows.setdefault(where, [])
        windows.append((breaker.abnormal_since_ms, None))
        del windows[:-MAX_WINDOWS]
        return ControlChange(ControlEvent.OPENED, *where)

    def _end_window(self, where: tuple[str, Platform], closed: BreakerRecord | None) -> None:
        windows = self._windows.setdefault(where, [])
        if windows and windows[-1][1] is None:
            began, _ = windows.pop()
            if closed is not None:
                windows.append((began, closed.closed_at_ms))
        elif closed is not None and not windows:  # its opening is compacted away
            windows.append((closed.abnormal_since_ms, closed.closed_at_ms))
