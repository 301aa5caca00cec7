"""`cases` of what waits for its time, and of what is called off. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.dashboards.alert_case import AlertCase

KEEPER_CASES: Final[Sequence[AlertCase]] = (
    AlertCase(
        "TimersToExpire",
        {
            f'{Name.TIMERS_TO_EXPIRE}{{kind="rate", instance="a"}}': "0x5 300x9",
            f'{Name.TIMERS_TO_EXPIRE}{{kind="provider", instance="a"}}': "0x14",
        },
        "9m",
        {"kind": "rate"},
        "300",
        "5m",
    ),
    AlertCase(
        "ClocksDisagree",
        {
            f'{Name.CLOCK_DISAGREEMENT}{{instance="a"}}': "2x5 2.5x9",
            f'{Name.CLOCK_DISAGREEMENT}{{instance="b"}}': "0x14",
        },
        "8m",
        {},
        "2.5",
        "5m",
    ),
    AlertCase(
        "CancelsForgotten",
        {f'{Name.CANCELS_FORGOTTEN}{{instance="a"}}': "0x5 300x9", f'{Name.CANCELS_FORGOTTEN}{{instance="b"}}': "7x14"},
        "7m",
        {},
        "300",
        "5m",
    ),
)
