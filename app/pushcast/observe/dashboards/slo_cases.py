"""Courses of late deliveries that fire the alerts of the service level. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.dashboards.alert_case import AlertCase

_TWO_SMALL_APPS: Final = {
    f'{name}{{app="{app}", class="chat"}}': values
    for app in ("news", "shop")
    for name, values in ((Name.SLO_PLANNED, "0+6x60"), (Name.SLO_LATE, "0x30 6+6x30"))
}

SLO_CASES: Final[Sequence[AlertCase]] = (
    # O4: senders stop at 20 min; what is due from then on is late 2 min 20 s later. 8 minutes after the stop it pages.
    AlertCase(
        "SloBurnFast",
        {
            f'{Name.SLO_PLANNED}{{app="news", class="chat"}}': "0+300x120",
            f'{Name.SLO_LATE}{{app="news", class="chat"}}': "0x44 100+300x80",
        },
        "28m",
        {"app": "news", "class": "chat"},
        quiet_at="22m",
        interval="30s",
    ),
    # Two apps with 60 deliveries each in 10 minutes, and none accepted: too few of each, enough of the class. At 40 min
    # a quarter of the hour's deliveries is late: the limit of the hour, which has enough of each, does not speak yet.
    AlertCase("SloBurnFast", _TWO_SMALL_APPS, "40m", {"class": "chat"}, quiet_at="29m"),
    # At 45 min it does: each app is told by the hour, and not the class once more by the 10 minutes.
    AlertCase(
        "SloBurnFast",
        _TWO_SMALL_APPS,
        "45m",
        {"app": "news", "class": "chat"},
        quiet_at="29m",
        also=({"app": "shop", "class": "chat"},),
    ),
    # O4: planners stop at 20 min; nothing more is planned, and so nothing of it late.
    AlertCase(
        "SloBurnFast",
        {
            f'{Name.SLO_PLANNED}{{app="news", class="chat"}}': "0+600x20 12000x40",
            f'{Name.SLO_LATE}{{app="news", class="chat"}}': "0x60",
            f'{Name.SLO_UNPLANNED}{{lane="normal"}}': "0x22 600+600x40",
        },
        "23m",
        {"lane": "normal"},
        quiet_at="22m",
    ),
    AlertCase(
        "SloBurnSlow",
        {
            f'{Name.SLO_PLANNED}{{app="news", class="chat"}}': "0+100x420",
            f'{Name.SLO_LATE}{{app="news", class="chat"}}': "0+25x420",
        },
        "400m",
        {"app": "news", "class": "chat"},
        "25%",
    ),
)
