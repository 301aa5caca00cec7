"""Plots as geometry: points, ticks and a sentence. Templates draw them as SVG. Pure.

Lines are drawn in units of `WIDTH` times `HEIGHT` and stretched to the space there is; words keep their size. Each plot
has the numbers as a table, too, for those who cannot see it or would rather read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from pushcast.console.words import duration, number, percent

WIDTH: Final = 720
HEIGHT: Final = 226
TOP: Final = 18
BOTTOM: Final = 26
#: Where a logarithmic time axis has its ticks: milliseconds, to the 28 days that a notification may live.
_HOUR: Final = 3_600_000
TIMES_MS: Final = (1, 10, 100, 1000, 10_000, 60_000, 600_000, *(_HOUR * n for n in (1, 6, 24, 7 * 24, 28 * 24)))
#: From a bound of a bucket of latencies to the next one (`report.sketch`).
BUCKET_RATIO: Final = 2 ** (1 / 8)
#: Ticks of a shorter plot tell seconds.
SHORT_SECONDS: Final = 300
#: Steps that fill so much of the ten minutes are called ten minutes.
LONG_SECONDS: Final = 570
#: Steps of the plot of accepted deliveries.
BINS: Final = 60
#: It ends where so many of the accepted had been accepted: the last few would press the others together.
MOST: Final = 0.995
#: How long that plot may be.
SPANS_SECONDS: Final = (
    *(1, 2, 4, 6, 8, 10, 20, 30, 60, 120, 240, 600, 1200, 1800),
    *(hours * 3600 for hours in (1, 2, 4, 6, 8, 12, 24, 48, 96, 168, 336, 672)),
)
#: Rows of the table behind a plot.
MAX_ROWS: Final = 24


class Tick(NamedTuple):
    """A place on an axis in the plot's units, and what stands there."""

    at: float
    text: str


class PlotShape(NamedTuple):
    """One series. `tone`: the class that colours it. `area`, `edge`: paths of SVG, of it and of its upper side."""

    name: str
    tone: str
    area: str
    edge: str


class Plot(NamedTuple):
    """`says`: the plot in a sentence. `columns`, `rows`: its numbers; `places`: where on the x axis each row stands.
    `marks`: upright lines with a word. `labels`: the side on which the y axis has its words: where the curve is low."""

    title: str
    says: str
    shapes: Sequence[PlotShape]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    places: Sequence[float]
    marks: Sequence[Tick] = ()
    labels: str = "left"
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


class BarPart(NamedTuple):
    """A part of a bar: where it begins, and its size, in percent of the bar."""

    name: str
    tone: str
    amount: int
    share: float
    begin: float
    size: float


def parts_of(counts: Mapping[str, int], whole: int | None = None) -> list[BarPart]:
    """A bar of these counts in their order, none of them left out. `whole`: what the bar stands for."""
    total = sum(counts.values()) if whole is None else max(whole, sum(counts.values()))
    begin, parts = 0.0, []
    for name, count in counts.items():
        if count <= 0:
            continue
        share = count / total
        parts.append(BarPart(name, name, count, share, round(begin * 100, 3), round(share * 100, 3)))
        begin += share
    return parts


def rates(ends: Sequence[str], series: Mapping[str, Sequence[float]], step_seconds: float) -> Plot:
    """Deliveries per second, stacked: `ends` says when each step ended, newest last."""
    count = len(ends)
    total = [sum(values) for values in zip(*series.values(), strict=True)] if series else [0.0] * count
    top = _round_up(max(total, default=0.0))
    x = [WIDTH * index / max(1, count - 1) for index in range(count)]
    below = [0.0] * count
    shapes = []
    for name, values in series.items():
        above = [low + value for low, value in zip(below, values, strict=True)]
        if any(values):
            shapes.append(_shape(name, x, *([_y(each, top) for each in line] for line in (above, below))))
        below = above
    newest = total[-1] if total else 0.0
    span = "ten minutes" if count * step_seconds > LONG_SECONDS else duration(step_seconds * max(0, count - 1))
    says = f"{number(newest)} deliveries a second now, at most {number(max(total, default=0.0))} in the last {span}."
    names = list(series)
    chars = 5 if count * step_seconds > SHORT_SECONDS else 8  # with seconds or without
    kept = range(count)[:: -max(1, math.ceil(count / MAX_ROWS))]
    rows = [[ends[index], *(number(series[name][index]) for name in names)] for index in kept]
    ticks = [Tick(x[index], ends[index][:chars]) for index in range(0, count, max(1, (count - 1) // 5))]
    return Plot(
        "Deliveries a second", says, shapes, ticks, _y_ticks(top), ["until", *names], rows, [x[index] for index in kept]
    )


def arrival(histogram: Sequence[Mapping[str, float]], accepted: int, planned: int) -> Plot | None:
    """Share of the planned deliveries that were taken by a time after they were due; the time axis is logarithmic.

    `histogram`: {"up_to_ms", "count"}, in order. None without any.
    """
    bounds = [max(1.0, float(each["up_to_ms"])) for each in histogram]
    if not bounds or not planned:
        return None
    sums = list(accumulate(int(each["count"]) for each in histogram))
    low = next(tick for tick in reversed(TIMES_MS[:-1]) if tick <= bounds[0])
    high = next((tick for tick in TIMES_MS if tick > low and tick >= max(bounds[-1], 150_000)), bounds[-1])

    def place(value: float) -> float:
        return WIDTH * math.log(value / low) / math.log(high / low)

    xs, ys = [place(low)], [_y(0, 1)]
    for bound, count in zip(bounds, sums, strict=True):
        xs.append(place(bound))
        ys.append(_y(count / planned, 1))
    xs.append(float(WIDTH))
    ys.append(ys[-1])
    half = next((bound for bound, count in zip(bounds, sums, strict=True) if count * 2 >= accepted), None)
    taken = f"{percent(accepted / planned)} of {number(planned)} were taken"
    says = f"{taken}, half of these within {duration((half or 0) / 1000)}."
    step = max(1, math.ceil(len(bounds) / MAX_ROWS))
    indices = sorted({*range(0, len(bounds), step), len(bounds) - 1})
    rows = [[duration(bounds[i] / 1000), number(sums[i]), percent(sums[i] / planned)] for i in indices]
    floor = [_y(0, 1)] * len(xs)
    places = [place(bounds[i]) for i in indices]
    return Plot(
        "How fast it arrived",
        says,
        [_shape("accepted", xs, ys, floor)],
        [Tick(place(tick), duration(tick / 1000)) for tick in TIMES_MS if low <= tick <= high],
        [Tick(_y(share, 1), percent(share)) for share in (0, 0.25, 0.5, 0.75, 1)],
        ["within", "taken", "share"],
        rows,
        places,
        [Tick(place(120_000), "2 min")] if low <= 120_000 else [],
    )


def accepted_a_second(histogram: Sequence[Mapping[str, float]]) -> Plot | None:
    """How many a second were accepted, by the time since they were due; both axes are linear. None without any.

    `histogram`: {"up_to_ms", "count"}, in order. A bucket is spread evenly over its time, which is 9 % of its bound.
    """
    total = sum(int(each["count"]) for each in histogram)
    if not total:
        return None
    wanted = _bound_of(histogram, total * MOST)
    end_ms = next((seconds * 1000.0 for seconds in SPANS_SECONDS if seconds * 1000 >= wanted), wanted)
    width_ms = end_ms / BINS
    counts = [0.0] * BINS
    for each in histogram:
        upper = float(each["up_to_ms"])
        lower = upper / BUCKET_RATIO if upper > BUCKET_RATIO else 0.0
        for index in range(int(lower / width_ms), min(BINS, int(upper / width_ms) + 1)):
            shared = min(upper, (index + 1) * width_ms) - max(lower, index * width_ms)
            counts[index] += each["count"] * max(0.0, shared) / (upper - lower)
    speeds = [count * 1000 / width_ms for count in counts]
    most = max(speeds)
    top, at = _round_up(most), speeds.index(most)
    x = [WIDTH * index / BINS for index in range(BINS + 1)]
    heights = [_y(speed, top) for speed in [*speeds, speeds[-1]]]
    says = f"At most {number(round(most))} a second, {duration((at + 1) * width_ms / 1000)} after they were due."
    step = math.ceil(BINS / MAX_ROWS)
    kept = range(step - 1, BINS, step)
    rows = [[duration((index + 1) * width_ms / 1000), number(round(speeds[index]))] for index in kept]
    return Plot(
        "Accepted a second",
        says,
        [_shape("accepted", x, heights, [_y(0, 1)] * len(x))],
        [Tick(WIDTH * share, duration(end_ms * share / 1000)) for share in (0, 0.5, 1)],
        _y_ticks(top),
        ["after", "accepted a second"],
        rows,
        [x[index] for index in kept],
        labels="right",
    )


def speeds(ends: Sequence[str], half: Sequence[float | None], most: Sequence[float | None]) -> Plot | None:
    """Seconds within which 50 and 99 of 100 urgent deliveries were accepted, over time; both axes are linear.

    `ends` says when each step ended, newest last. None is a gap: nothing urgent was accepted. What took longer than is
    counted (infinite) lies on the upper edge. None without two points.
    """
    count = len(ends)
    known = [each for each in most if each is not None]
    if count < 2 or not known:
        return None
    top = _round_up_seconds(max((each for each in known if not math.isinf(each)), default=1.0))
    x = [WIDTH * index / (count - 1) for index in range(count)]
    shapes = [_line("99 %", "most", x, most, top), _line("half", "half", x, half, top)]
    newest = next(index for index in reversed(range(count)) if most[index] is not None)
    when = "now" if newest == count - 1 else f"at {ends[newest]}"
    says = f"99 % within {_within(most[newest])} {when}, at worst within {_within(max(known))}."
    kept = range(count)[:: -max(1, math.ceil(count / MAX_ROWS))]
    rows = [[ends[index], _within(half[index]), _within(most[index])] for index in kept]
    ticks = [Tick(x[index], ends[index][:5]) for index in range(0, count, max(1, (count - 1) // 5))]
    return Plot(
        "How fast urgent ones are accepted",
        says,
        shapes,
        ticks,
        [Tick(_y(top * share, top), duration(top * share)) for share in (0, 0.5, 1)],
        ["half a minute until", "half within", "99 % within"],
        rows,
        [x[index] for index in kept],
    )


def _within(seconds: float | None) -> str:
    return "longer than is counted" if seconds is not None and math.isinf(seconds) else duration(seconds)


def _line(name: str, tone: str, x: Sequence[float], values: Sequence[float | None], top: float) -> PlotShape:
    """Without an area. A value between two gaps is a short stroke."""
    path, drawn = [], False
    for index, value in enumerate(values):
        if value is None:
            drawn = False
            continue
        y = _y(min(value, top), top)
        alone = not drawn and (index + 1 == len(values) or values[index + 1] is None)
        path.append(f"{'L' if drawn else 'M'}{x[index]:.1f},{y:.1f}" + ("h0.1" if alone else ""))
        drawn = True
    return PlotShape(name, tone, "", " ".join(path))


def _round_up_seconds(value: float) -> float:
    """As `_round_up`, for less than a second, too."""
    return _round_up(value) if value > 1 else _round_up(max(1.0, value * 1000)) / 1000


def _bound_of(histogram: Sequence[Mapping[str, float]], wanted: float) -> float:
    """The upper bound of the bucket in which so many are reached."""
    sums = accumulate(each["count"] for each in histogram)
    return next(float(each["up_to_ms"]) for each, so_many in zip(histogram, sums, strict=True) if so_many >= wanted)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top


def _y_ticks(top: float) -> list[Tick]:
    return [Tick(_y(top * share, top), number(top * share)) for share in (0, 0.5, 1)]


def _round_up(value: float) -> float:
    """To a number with one digit, or 15 and its like; at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _shape(name: str, x: Sequence[float], above: Sequence[float], below: Sequence[float]) -> PlotShape:
    there = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, above, strict=True))
    back = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(reversed(x), reversed(below), strict=True))
    return PlotShape(name, name, f"M{there} {back}Z", f"M{there}")
