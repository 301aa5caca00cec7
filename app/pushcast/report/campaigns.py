"""The reports of one campaign as one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

#: Reports that are added up.
MAX_SUMMED = 500


def campaign_of(
    label: str, reports: Iterable[Mapping[str, Any]], *, whole: bool, missing: Iterable[int]
) -> dict[str, Any]:
    """Sums of its reports. `whole`: there are no others. `missing`: partitions of which nobody answered."""
    found = list(reports)
    outcomes, platforms, not_planned = Counter[str](), dict[str, Counter[str]](), Counter[str]()
    sums: Counter[str] = Counter()
    for each in found:
        outcomes.update(each["outcomes"])
        not_planned.update(each["not_planned"])
        sums.update({name: each[name] for name in ("planned", "open", "overdue", "held")})
        sums.update({name: each["engagement"][name] for name in ("received", "opened")})
        for platform, row in each["platforms"].items():
            platforms.setdefault(platform, Counter()).update(row["outcomes"])
    partitions = sorted(missing)
    return {
        "campaign": label,
        "reports": len(found),
        "whole": whole,
        **{name: sums[name] for name in ("planned", "open", "overdue", "held")},
        "outcomes": dict(outcomes),
        "platforms": {platform: dict(counts) for platform, counts in sorted(platforms.items())},
        "not_planned": dict(sorted(not_planned.items())),
        "engagement": {"received": sums["received"], "opened": sums["opened"]},
        "as_of": min((each["as_of"] for each in found), default=None),
        "complete": not partitions,
        "missing_partitions": partitions,
    }
