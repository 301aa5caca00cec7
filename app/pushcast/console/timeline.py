"""A person's time axis: devices as lines, on them what was sent to each, what was opened, what is to come. Pure.

One axis for all, so that what happened to a device before a push, or between two, is seen at a glance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pushcast.console.plots import WIDTH, Tick
from pushcast.console.words import moment, when
from pushcast.model.plural import counted
from pushcast.model.words import Outcome

#: What a visitor may choose, by its word: hours.
SPANS: Final = {"hour": 1, "day": 24, "week": 168, "month": 720}
_HOUR_MS: Final = 3_600_000
#: Devices that have a line of their own.
MAX_LINES: Final = 12
#: Pixels above the first line, between two, and below the last.
HEAD: Final = 32
ROW: Final = 48
FOOT: Final = 44
#: Of what waits for its time, and of deliveries that belong to no device of this list.
WAITING: Final = "waits for its time"
ELSEWHERE: Final = "other devices"
#: A part of the axis that is left free on the right, so that the newest mark is whole.
MARGIN: Final = 0.02


class Stretch(NamedTuple):
    """A part of a line. `kind`: reached, suspended."""

    kind: str
    begin: float
    end: float


class AxisMark(NamedTuple):
    """Something that happened, or will. `kind`: an outcome, opened, received, registered, suspended, removed, due.
    `at`: on the x axis, in units of `WIDTH`."""

    kind: str
    at: float
    at_ms: int
    says: str


class AxisLine(NamedTuple):
    """A device, or what waits. `y`: pixels."""

    name: str
    about: str
    y: int
    stretches: Sequence[Stretch]
    marks: Sequence[AxisMark]


class Timeline(NamedTuple):
    """`now`: where the present is. `height`: pixels. `rows`: everything as a table, the newest first, and where on the
    axis each row stands."""

    says: str
    span: str
    lines: Sequence[AxisLine]
    kinds: Sequence[str]
    x_ticks: Sequence[Tick]
    now: float
    height: int
    rows: Sequence[Sequence[str]]
    places: Sequence[float]
    columns: Sequence[str] = ("when", "where", "what")
    width: int = WIDTH


class _Axis:
    """From times to places."""

    def __init__(self, begin_ms: int, end_ms: int) -> None:
        self.begin_ms = begin_ms
        self.end_ms = end_ms

    def place(self, at_ms: int) -> float:
        """Units of `WIDTH`; what lies outside is at the edge."""
        share = (at_ms - self.begin_ms) / (self.end_ms - self.begin_ms)
        return round(WIDTH * (1 - MARGIN) * min(1.0, max(0.0, share)), 1)

    def shows(self, at_ms: int) -> bool:
        """Whether it lies on the axis."""
        return self.begin_ms <= at_ms <= self.end_ms


def timeline(
    devices: Sequence[Mapping[str, Any]],
    deliveries: Sequence[Mapping[str, Any]],
    timers: Sequence[Mapping[str, Any]],
    now_ms: int,
    span: str = "",
) -> Timeline | None:
    """As the API answers them. `span`: a word of `SPANS`; otherwise the shortest that holds the newest deliveries.

    None: nothing is known of the user.
    """
    if not devices and not deliveries and not timers:
        return None
    span = span if span in SPANS else _fitting(deliveries, now_ms)
    length_ms = SPANS[span] * _HOUR_MS
    ahead = [at for each in timers if (at := _ms(each["due_at"])) is not None and now_ms < at <= now_ms + length_ms]
    axis = _Axis(now_ms - length_ms, max([now_ms, *ahead]))
    shown = devices[:MAX_LINES]
    named: list[tuple[str, str, Sequence[Stretch], Sequence[AxisMark]]] = []
    for each in shown:
        its = [row for row in deliveries if _is_of(row, each)]
        about = f"{each['app']} · {each['platform']}"
        named.append((each["device"], about, _stretches(each, axis, now_ms), _of(each, its, axis)))
    others = [row for row in deliveries if not any(_is_of(row, each) for each in shown)]
    if marks := [mark for row in others for mark in _of_delivery(row, axis)]:
        named.append((ELSEWHERE, "", [], marks))
    if marks := [_due(each, at, axis) for each in timers if (at := _ms(each["due_at"])) is not None and axis.shows(at)]:
        named.append((WAITING, "", [], marks))
    lines = [
        AxisLine(name, about, HEAD + ROW * index, stretches, marks)
        for index, (name, about, stretches, marks) in enumerate(named)
    ]
    told = sorted(((mark, line.name) for line in lines for mark in line.marks), key=lambda each: -each[0].at_ms)
    marks_shown = [mark for line in lines for mark in line.marks]
    return Timeline(
        _says(len(devices), marks_shown, span),
        span,
        lines,
        list(dict.fromkeys(mark.kind for mark in marks_shown)),
        _ticks(axis, now_ms),
        axis.place(now_ms),
        HEAD + ROW * max(0, len(lines) - 1) + FOOT,
        [[when(mark.at_ms, now_ms), name, mark.says] for mark, name in told],
        [mark.at for mark, _ in told],
    )


def _fitting(deliveries: Sequence[Mapping[str, Any]], now_ms: int) -> str:
    """The shortest span that has all of them; a day when there are none."""
    oldest = min((at for each in deliveries if (at := _ms(each["created_at"])) is not None), default=None)
    if oldest is None:
        return "day"
    return next((word for word, hours in SPANS.items() if now_ms - oldest <= hours * _HOUR_MS), "month")


def _is_of(delivery: Mapping[str, Any], device: Mapping[str, Any]) -> bool:
    return (delivery["app"], delivery["device"]) == (device["app"], device["device"])


def _stretches(device: Mapping[str, Any], axis: _Axis, now_ms: int) -> list[Stretch]:
    """From its registration to its removal, and from when on it is suspended."""
    removed, suspended = _ms(device["removed_at"]), _ms(device["suspended_at"])
    begin, end = _ms(device["registered_at"]) or axis.begin_ms, removed or now_ms
    if end <= axis.begin_ms:
        return []
    if suspended is None:
        return [Stretch("reached", axis.place(begin), axis.place(end))]
    found = [Stretch("suspended", axis.place(max(begin, suspended)), axis.place(end))]
    if begin < suspended and suspended > axis.begin_ms:
        found.insert(0, Stretch("reached", axis.place(begin), axis.place(suspended)))
    return found


def _of(device: Mapping[str, Any], deliveries: Iterable[Mapping[str, Any]], axis: _Axis) -> list[AxisMark]:
    """What happened to a device, in order."""
    found = []
    for field in ("registered_at", "suspended_at", "removed_at"):
        at = _ms(device[field])
        if at is not None and axis.shows(at):
            kind = field.removesuffix("_at")
            reason = device["suspended_reason"] if kind == "suspended" else None
            found.append(AxisMark(kind, axis.place(at), at, kind if reason is None else f"{kind}: {_spoken(reason)}"))
    found += [mark for row in deliveries for mark in _of_delivery(row, axis)]
    return sorted(found, key=lambda mark: mark.at_ms)


def _of_delivery(row: Mapping[str, Any], axis: _Axis) -> Iterable[AxisMark]:
    """Its end, and what the app has told of it."""
    name, outcome = row["notification"], row["outcome"]
    ended = _ms(row["ended_at"])
    if ended is not None and axis.shows(ended):
        reason = f" ({_spoken(row['reason'])})" if row["reason"] not in (None, "", outcome) else ""
        yield AxisMark(outcome, axis.place(ended), ended, f"{name}: {outcome}{reason}")
    for kind in ("received", "opened"):
        at = _ms(row.get(f"{kind}_at"))
        if at is not None and axis.shows(at):
            yield AxisMark(kind, axis.place(at), at, f"{name}: {kind}")


def _due(timer: Mapping[str, Any], at_ms: int, axis: _Axis) -> AxisMark:
    return AxisMark("due", axis.place(at_ms), at_ms, f"{timer['notification']}: due")


def _says(devices: int, marks: Sequence[AxisMark], span: str) -> str:
    """The picture in a sentence."""
    ends = [mark for mark in marks if mark.kind in set(Outcome)]
    accepted = sum(mark.kind == Outcome.ACCEPTED for mark in ends)
    opened = sum(mark.kind == "opened" for mark in marks)
    due = sum(mark.kind == "due" for mark in marks)
    told = [f"{counted(devices, 'device')}; in the last {span} {counted(len(ends), 'delivery')}, {accepted:,} accepted"]
    told += [f"{opened:,} opened"] if opened else []
    told += [f"{due:,} to come"] if due else []
    return ", ".join(told) + "."


def _ticks(axis: _Axis, now_ms: int) -> list[Tick]:
    """Round times: quarters of an hour, of a day, days, weeks."""
    length_ms = axis.end_ms - axis.begin_ms
    steps = (15, 30, 60, 180, 360, 720, 1440, 2880, 10_080, 20_160)  # minutes
    step_ms = next((step * 60_000 for step in steps if length_ms / (step * 60_000) <= 6), steps[-1] * 60_000)
    first = -(-axis.begin_ms // step_ms) * step_ms
    form = "%H:%M" if step_ms < 86_400_000 else "%-d %b"
    found = []
    for at_ms in range(first, axis.end_ms + 1, step_ms):
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        midnight = step_ms < 86_400_000 and at.hour == at.minute == 0
        found.append(Tick(axis.place(at_ms), at.strftime("%-d %b" if midnight else form)))
    return found


def _spoken(word: str) -> str:
    return word.replace("_", " ")


def _ms(text: str | int | None) -> int | None:
    at = moment(text)
    return None if at is None else round(at.timestamp() * 1000)
