"""The service level as the processes count it, for people: what `pushcast slo` shows. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.foreign import page_of_figures

_BUCKET: Final = f"{Name.ACCEPTED_SECONDS}_bucket"
_READ: Final = (Name.SLO_PLANNED, Name.SLO_LATE, Name.SLO_UNPLANNED, Name.CANARY_SUCCESS, _BUCKET)


def quantile(within: Mapping[float, float], share: float) -> float:
    """Seconds in which this share was done, from how many were done within each bound, the infinite one among them."""
    wanted = share * within[math.inf]
    low = done = 0.0
    for bound in sorted(within):
        if within[bound] >= wanted:
            part = within[bound] - done
            return bound if math.isinf(bound) or not part else low + (bound - low) * (wanted - done) / part
        low, done = bound, within[bound]
    return math.inf


@dataclass(slots=True)
class LevelFigures:
    """Sums over reporters, each since its start. `unplanned`, `canaries` are the present."""

    planned: Counter[tuple[str, str]] = field(default_factory=Counter)  # by app and class
    late: Counter[tuple[str, str]] = field(default_factory=Counter)
    within: dict[str, dict[float, float]] = field(default_factory=dict)  # by lane: accepted within so many seconds
    unplanned: dict[str, int] = field(default_factory=dict)  # by lane: notifications that no planner has planned
    canaries: dict[tuple[str, str], float] = field(default_factory=dict)  # when its last push was accepted, in seconds

    @page_of_figures()
    def read(self, page: str) -> None:
        """Adds the /metrics of one process. Raises ValueError for what is none."""
        lines = [line for line in page.splitlines() if line.startswith(_READ)]
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for name, labels, value, *_ in family.samples:
                if name == Name.SLO_PLANNED:
                    self.planned[labels["app"], labels["class"]] += round(value)
                elif name == Name.SLO_LATE:
                    self.late[labels["app"], labels["class"]] += round(value)
                elif name == Name.SLO_UNPLANNED:
                    self.unplanned[labels["lane"]] = max(round(value), self.unplanned.get(labels["lane"], 0))
                elif name == Name.CANARY_SUCCESS:
                    where = labels["app"], labels["platform"]
                    self.canaries[where] = max(value, self.canaries.get(where, 0.0))
                elif name == _BUCKET:
                    within, bound = self.within.setdefault(labels["lane"], {}), float(labels["le"])
                    within[bound] = within.get(bound, 0.0) + value

    def to_dict(self, target: float, within_seconds: int) -> dict[str, Any]:
        """For JSON, held against the target. `met`: by every class of every app, and nothing waits for a planner.

        The app is empty where events name none.
        """
        apps = [
            {"app": app, **_row(klass, count, self.late[app, klass], target)}
            for (app, klass), count in sorted(self.planned.items())
        ]
        planned, late = _by_class(self.planned), _by_class(self.late)
        classes = [_row(klass, count, late[klass], target) for klass, count in sorted(planned.items())]
        lanes = [
            {
                "lane": lane,
                "accepted": round(within[math.inf]),
                "p50_seconds": _finite(quantile(within, 0.5)),
                "p99_seconds": _finite(quantile(within, 0.99)),
            }
            for lane, within in sorted(self.within.items())
            if within[math.inf]
        ]
        unplanned = {lane: count for lane, count in sorted(self.unplanned.items()) if count}
        return {
            "target": target,
            "within_seconds": within_seconds,
            "met": all(row["met"] for row in apps) and not unplanned,
            "apps": apps,
            "classes": classes,
            "lanes": lanes,
            "unplanned_late": unplanned,
            "canaries": [
                {"app": app, "platform": platform, "last_accepted_at": _moment(at) if at else None}
                for (app, platform), at in sorted(self.canaries.items())
            ],
        }


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """Of `LevelFigures.to_dict`."""
    rows = [(f"{row['app'] or 'all apps'} {row['class']}", row) for row in found["apps"]]
    width = max((len(name) for name, _ in rows), default=9)
    yield f"{'app, class':{width}}  {'planned':>10}  {'late':>10}  {'in time':>9}"
    for name, row in rows:
        verdict = "" if row["met"] else f"  below {found['target']:.4g}"
        yield f"{name:{width}}  {row['planned']:>10,}  {row['late']:>10,}  {row['in_time']:>9.4f}{verdict}"
    for row in found["lanes"]:
        half, most = (_text(row[name]) for name in ("p50_seconds", "p99_seconds"))
        yield f"{row['lane']}: {row['accepted']:,} accepted, half of them within {half}, 99 % within {most}"
    for lane, count in found["unplanned_late"].items():
        yield f"{lane}: {count:,} notifications wait for a planner longer than {found['within_seconds']} s"
    for row in found["canaries"]:
        yield f"canary of {row['app']} on {row['platform']}: {_accepted(row['last_accepted_at'])}"


def _by_class(counts: Mapping[tuple[str, str], int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, klass), count in counts.items():
        found[klass] += count
    return found


def _row(name: str, planned: int, late: int, target: float) -> dict[str, Any]:
    in_time = 1 - late / planned if planned else 1.0
    return {"class": name, "planned": planned, "late": late, "in_time": in_time, "met": in_time >= target}


def _accepted(at: str | None) -> str:
    return "not accepted within a day" if at is None else f"last accepted {at}"


def _moment(at_seconds: float) -> str:
    return datetime.fromtimestamp(at_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else round(seconds, 3)


def _text(seconds: float | None) -> str:
    return "longer than is counted" if seconds is None else f"{seconds:.3g} s"
