"""The service level: which share of the planned deliveries a provider accepts in time. Pure.

Deliveries are counted by the span of 10 s in which they became due, and a span is decided when its last delivery's time
is over. So what nobody sends is late although it has no receipt.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pushcast.model.words import Outcome

#: Short enough that a stall shows in the alerts within 8 minutes.
SPAN_MS: Final = 10_000
#: Ends that are not the sender's fault: they count neither as in time nor as late.
EXCUSED: Final = frozenset({Outcome.INVALID, Outcome.SUPPRESSED, Outcome.CANCELLED})
#: A planned record that is read so much later than it was written is history: a store that is made anew.
FRESH_MS: Final = 300_000
#: After a span's last delivery had its time: receipts on their way from sender to store.
GRACE_MS: Final = 10_000


@dataclass(slots=True)
class _Span:
    planned: int = 0
    settled: int = 0  # accepted in time, or excused


class ClassPlanned(NamedTuple):
    """Deliveries of a class were planned, or taken back where `deliveries` is negative. Times are milliseconds.

    `app` is the event's: empty where it names none and so goes to every app of the user."""

    app: str
    klass: str
    due_at: int
    planned_at: int
    deliveries: int


#: (due, ended) of deliveries; milliseconds since the epoch.
Times = list[tuple[int, int]]


class ClassEnded(NamedTuple):
    """Deliveries of a class have ended in one way; with sign -1 they have not, after all. `app` is the device's."""

    app: str
    klass: str
    lane: str
    outcome: str
    sign: int
    times: Times


Seen = list[ClassPlanned | ClassEnded]


class Timings:
    """How long accepted deliveries took, by lane: counts per bucket, and one above the last bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds`: upper ones, in seconds, rising."""
        self._bounds_ms = [_most_ms(bound) for bound in bounds]
        self.counts: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}  # sums

    def add(self, lane: str, took_ms: list[int]) -> None:
        """So many more were accepted, each after so many milliseconds. Sorts the list."""
        if not took_ms:
            return
        self.seconds[lane] = self.seconds.get(lane, 0.0) + sum(took_ms) / 1000
        counts = self.counts.get(lane)
        if counts is None:
            counts = self.counts[lane] = [0] * (len(self._bounds_ms) + 1)
        took_ms.sort()
        start = 0
        for place, bound_ms in enumerate(self._bounds_ms):
            end = bisect_right(took_ms, bound_ms, start)
            counts[place] += end - start
            start = end
            if start == len(took_ms):
                return
        counts[-1] += len(took_ms) - start


def _most_ms(bound: float) -> int:
    """The most milliseconds that are no more seconds than `bound`."""
    found = round(bound * 1000)
    return found if found / 1000 <= bound else found - 1


class ServiceLevel:
    """Counts by app and class, of one process since its start. Used on one thread.

    What was planned for every app of a user counts under the empty app. What of it is settled, receipts name by the
    app of the device: more than was planned for that app is of such events.

    Counted are notifications; broadcasts and dry runs are not. What was planned before the start is not counted: a
    restart may show fewer late deliveries than there were.
    """

    def __init__(
        self, within_seconds: int, now_ms: int, without: Collection[str] = (), bounds: Sequence[float] = ()
    ) -> None:
        """`without`: classes that are not counted. `bounds`: of `timings`."""
        self.timings = Timings(bounds)
        self.planned: Counter[tuple[str, str]] = Counter()  # of decided spans, by app and class
        self.late: Counter[tuple[str, str]] = Counter()
        self._within_ms = within_seconds * 1000
        self._without = frozenset(without)
        self._open: dict[tuple[str, int], dict[str, _Span]] = {}  # by class and number: by app
        self._decided = self._over(now_ms)  # spans below are decided

    def take(self, seen: Seen, now_ms: int) -> None:
        """What the books say, each record once."""
        for each in seen:
            if type(each) is ClassPlanned:
                self.plan(each.app, each.klass, each.due_at, each.planned_at, now_ms, each.deliveries)
            elif type(each) is ClassEnded and each.klass not in self._without:
                self._end(each, now_ms)

    def plan(self, app: str, klass: str, due_at: int, planned_at: int, now_ms: int, count: int) -> None:
        """`count` deliveries were planned, or taken back where it is negative. Times are milliseconds."""
        if now_ms - planned_at > FRESH_MS or klass in self._without:
            return
        if (span := due_at // SPAN_MS) < self._decided:  # the planner came too late
            self.planned[app, klass] += max(count, 0)
            self.late[app, klass] += max(count, 0)
        else:
            self._span(app, klass, span).planned += count

    def _end(self, ended: ClassEnded, now_ms: int) -> None:
        """Their planned records may come later. Slow ones are timed, too, although their spans were decided long ago;
        the history of a store that is made anew is not."""
        accepted = ended.outcome == Outcome.ACCEPTED
        within_ms, times = self._within_ms, ended.times
        if accepted or ended.outcome in EXCUSED:
            settled = [due // SPAN_MS for due, ended_at in times if not accepted or ended_at - due <= within_ms]
            for span, count in Counter(settled).items():
                if span >= self._decided:
                    self._span(ended.app, ended.klass, span).settled += ended.sign * count
        if accepted and ended.sign > 0:
            fresh_from = now_ms - FRESH_MS
            took_ms = [max(0, ended_at - due) for due, ended_at in times if ended_at >= fresh_from]
            self.timings.add(ended.lane, took_ms)

    def decide(self, now_ms: int) -> None:
        """Decides every span whose time is over. Call it when everything that is written has been read."""
        self._decided = max(self._decided, self._over(now_ms))
        for key in [key for key in self._open if key[1] < self._decided]:
            surplus, klass, spans = 0, key[0], self._open.pop(key)
            for app in sorted(spans, reverse=True):  # the empty one last
                span = spans[app]
                planned = max(span.planned, 0)
                settled = span.settled if app else span.settled + surplus
                surplus += max(0, settled - planned)
                if planned:
                    self.planned[app, klass] += planned
                    self.late[app, klass] += max(0, planned - settled)

    def _over(self, now_ms: int) -> int:
        return (now_ms - self._within_ms - GRACE_MS) // SPAN_MS

    def _span(self, app: str, klass: str, number: int) -> _Span:
        return self._open.setdefault((klass, number), {}).setdefault(app, _Span())
