"""What pairs of runs say of two commits: the median of their ratios, and how sure it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

CONFIDENCE: Final = 0.9
#: With fewer pairs the interval spans whatever one disturbed run says.
FEWEST_PAIRS: Final = 7


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of both sides. Ratios are CPU per item here divided by CPU per item there: above 1 is dearer here."""

    name: str
    here_us: tuple[float, ...]  # CPU microseconds per item of each pair
    there_us: tuple[float, ...]
    limit_percent: float

    @property
    def ratios(self) -> list[float]:
        """One per pair."""
        return [here / there for here, there in zip(self.here_us, self.there_us, strict=True)]

    @property
    def broken(self) -> bool:
        """Whether the whole interval lies beyond the limit. An interval across it says that nobody knows."""
        return interval(self.ratios)[0] > 1 + self.limit_percent / 100

    def to_dict(self) -> dict[str, Any]:
        """For `bench --against --output json`."""
        low, high, coverage = interval(self.ratios)
        return {
            "name": self.name,
            "pairs": len(self.ratios),
            "cpu_us_per_item": round(median(self.here_us), 3),
            "against_cpu_us_per_item": round(median(self.there_us), 3),
            "ratio": round(median(self.ratios), 4),
            "interval": [round(low, 4), round(high, 4)],
            "interval_coverage": round(coverage, 4),
            "ratios": [round(ratio, 4) for ratio in self.ratios],
            "limit_percent": self.limit_percent,
            "broken": self.broken,
        }


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """(low, high, coverage) of the median: the narrowest pair of order statistics that covers it at least so often.

    No distribution is assumed, since runs on a shared machine have outliers and no bell curve. Raises ValueError
    when so few values cannot reach that confidence.
    """
    ordered = sorted(values)
    count = len(ordered)
    outside, best = 0.0, None
    for left_out in range(count // 2):
        outside += math.comb(count, left_out) / 2**count
        coverage = 1 - 2 * outside
        if coverage < confidence:
            break
        best = ordered[left_out], ordered[count - 1 - left_out], coverage
    if best is None:
        raise ValueError(f"{count} values say nothing of their median with a confidence of {confidence:.0%}")
    return best


def compare(
    here: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]], limit_percent: float
) -> tuple[list[Compared], list[str]]:
    """Results of `bench --output json` of both sides, a pair at each place: the rows that every result has, and the
    names of those that one side or a run lacks. Raises ValueError for a row without CPU time."""
    sides = [[_cpu_us(result) for result in results] for results in (here, there)]
    names = dict.fromkeys(name for results in sides for rows in results for name in rows)
    common = [name for name in names if all(name in rows for results in sides for rows in results)]
    compared = [
        Compared(name, tuple(rows[name] for rows in sides[0]), tuple(rows[name] for rows in sides[1]), limit_percent)
        for name in common
    ]
    return compared, [name for name in names if name not in common]


def pair_told(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """The ratio of each row that both results have. Raises ValueError for a row without CPU time."""
    ours, theirs = _cpu_us(here), _cpu_us(there)
    told = [f"{name} {us / theirs[name]:.3f}" for name, us in ours.items() if name in theirs]
    return ", ".join(told) or "no common row"


def _cpu_us(result: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for row in result["rows"]:
        if not row["items"] or not row["cpu_seconds"]:
            raise ValueError(f"{row['name']} used no CPU time that could be read; give it more --items")
        found[row["name"]] = row["cpu_seconds"] / row["items"] * 1e6
    return found
