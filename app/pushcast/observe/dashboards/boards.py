"""Which dashboards there are: one to look at first, one about apps and campaigns, and one with every metric."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import BY_NAME, SECTIONS
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.dashboards.grafana import WINDOW, Board, Panel, PanelRow, plot_of

_CHOSEN: Final = 'app=~"$app", platform=~"$platform"'


def _plots(*names: Name) -> list[Panel]:
    return [plot_of(BY_NAME[name]) for name in names]


def _rate(title: str, name: Name, by: str, chosen: str = "") -> Panel:
    selector = f"{{{chosen}}}" if chosen else ""
    return Panel(title, name, f"sum by ({by}) (rate({name}{selector}[{WINDOW}]))", unit="cps")


OVERVIEW: Final = Board(
    "overview",
    "Pushcast: overview",
    [
        PanelRow(
            "Is it going out?",
            [
                _rate("Deliveries by outcome", Name.OUTCOMES, "outcome"),
                _rate("Notifications taken by planners", Name.RECORDS_CONSUMED, "lane", 'role="planner"'),
                Panel(
                    "Oldest unfinished urgent notification",
                    Name.OLDEST_UNFINISHED,
                    f'max by (group) ({Name.OLDEST_UNFINISHED}{{topic=~"push.notification.urgent.*"}})',
                ),
            ],
        ),
        PanelRow(
            "Where does it wait?",
            [
                Panel("Lag by group", Name.GROUP_LAG, f"max by (group, topic) ({Name.GROUP_LAG})"),
                *_plots(Name.GROUP_MEMBERS, Name.OLDEST_UNFINISHED, Name.PARTITIONS_PAUSED, Name.OUTBOX_RECORDS),
                *_plots(Name.PARKED),
            ],
        ),
        PanelRow(
            "What is wrong?", _plots(Name.DEAD_LETTERS, Name.BREAKER_OPEN, Name.PAUSED, Name.READY, Name.HEARTBEAT_AGE)
        ),
        PanelRow(
            "The doors",
            _plots(
                Name.GATEWAY_REQUESTS,
                Name.GATEWAY_REQUEST_SECONDS,
                Name.GATEWAY_ACK_SECONDS,
                Name.REPORT_BEHIND,
                Name.REPORT_AS_OF,
            ),
        ),
    ],
)

CAMPAIGNS: Final = Board(
    "campaigns",
    "Pushcast: apps and campaigns",
    [
        PanelRow(
            "Deliveries",
            [
                _rate("By outcome", Name.OUTCOMES, "app, platform, outcome", _CHOSEN),
                _rate("Not accepted, by reason", Name.OUTCOMES, "reason", f'outcome!="accepted", {_CHOSEN}'),
                Panel(
                    "Share of dead tokens",
                    Name.OUTCOMES,
                    f'sum by (app, platform) (rate({Name.OUTCOMES}{{outcome="invalid", {_CHOSEN}}}[{WINDOW}]))'
                    f" / sum by (app, platform) (rate({Name.OUTCOMES}{{{_CHOSEN}}}[{WINDOW}]))",
                    unit="percentunit",
                ),
                _rate("Attempts that were not the last", Name.TRIES_AGAIN, "app, platform, disposition", _CHOSEN),
                _rate("Parked", Name.PARKED, "app, platform, reason", _CHOSEN),
                Panel(
                    "Provider's answer, p99",
                    Name.PROVIDER_SECONDS,
                    f"histogram_quantile(0.99, sum by (le, app, platform) "
                    f"(rate({Name.PROVIDER_SECONDS}_bucket{{{_CHOSEN}}}[{WINDOW}])))",
                ),
            ],
        ),
        PanelRow("After sending", _plots(Name.ENGAGEMENT_UNMATCHED)),
        PanelRow("Before sending", _plots(Name.NOT_PLANNED, Name.HELD, Name.BROADCASTS, Name.WALK_LEGS)),
    ],
    choices=("app", "platform"),
)

RUNTIME: Final = Board(
    "runtime",
    "Pushcast: every metric",
    [PanelRow(title, [plot_of(metric) for metric in metrics]) for title, metrics in SECTIONS.items()],
)

BOARDS: Final = (OVERVIEW, CAMPAIGNS, RUNTIME)
