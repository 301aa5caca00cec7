"""Why some deliveries did not arrive, summed over reports, and where examples of each reason are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

NOT_PLANNED: Final = "not planned"


class ReasonRow(NamedTuple):
    """`where`: the platform, or that nothing was planned. `link`: examples; None where no delivery is told apart."""

    reason: str
    where: str
    amount: int
    link: str | None


def reasons_of(reports: Iterable[Mapping[str, Any]], **subject: str) -> list[ReasonRow]:
    """The most frequent first. `subject`: of what the examples are, as `/examples` takes it."""
    ended: Counter[tuple[str, str]] = Counter()
    missed: Counter[str] = Counter()
    for report in reports:
        for platform, row in report["platforms"].items():
            ended.update({(reason, platform): count for reason, count in row["reasons"].items()})
        missed.update(report["not_planned"])
    rows = [
        ReasonRow(reason, platform, count, _examples({**subject, "platform": platform, "reason": reason}))
        for (reason, platform), count in ended.items()
    ]
    rows += [ReasonRow(reason, NOT_PLANNED, count, None) for reason, count in missed.items()]
    return sorted(rows, key=lambda row: (-row.amount, row.reason, row.where))


def _examples(query: Mapping[str, str]) -> str:
    return f"/examples?{urlencode(query)}"
