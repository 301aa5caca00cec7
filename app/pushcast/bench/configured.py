"""`bench configured`: planning with more configured than its events use, in turn with planning without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final, TypeVar

from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, bench_cluster, role
from pushcast.bench.pairs import interval
from pushcast.bench.plan import CONFIGURATION, LANE, WARM_UP_ITEMS, now_ms, planned_row
from pushcast.bench.planning import load_devices

BARE: Final = "bare"
#: The interval of eight ratios leaves out the most extreme one of each side.
ROUNDS: Final = 8
ITEMS: Final = 40_000
SHAPES: Final = ("alert", "chat")
T = TypeVar("T")


def configurations(now: datetime) -> dict[str, dict[str, Any]]:
    """By name. `keep`: all that KEEP does, for other classes and another app. `quiet`: the app has quiet hours of its
    own, none of them within hours of now."""
    bare: dict[str, Any] = CONFIGURATION
    later = [(now + timedelta(hours=hours)).strftime("%H:%M") for hours in (6, 12)]
    hours = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": later[0], "to": later[1]}]
    keep = {
        "apps": {**bare["apps"], "shop": {"quiet_hours": hours}},
        "classes": {
            **bare["classes"],
            "promo": {"opt_in": True, "read_gate": True},
            "posts": {"digest": {"window_seconds": 600}},
            "slow": {"per_minute": 600},
        },
        "caps": [{"name": "promos", "classes": ["promo"], "limit": 3, "window_seconds": 86_400}],
        "campaigns": {"xmas": {"per_minute": 600}},
    }
    return {BARE: bare, "keep": keep, "quiet": {**bare, "apps": {"news": {"quiet_hours": hours}}}}


def order(names: Sequence[T], number: int) -> list[T]:
    """Who has its turn when in a round. Over two rounds every name stands behind each other one as often as before it:
    a machine that gets slower, or a log that grows, favours none of them."""
    at = number // 2 % len(names)
    turned = [*names[at:], *names[:at]]
    return turned[::-1] if number % 2 else turned


def compared(rows: Sequence[Row], bare: Sequence[Row]) -> dict[str, Any]:
    """What an event cost beside the bare configuration: the median of the rounds' ratios, and how sure it is."""
    ratios = [row.cpu_seconds / other.cpu_seconds for row, other in zip(rows, bare, strict=True)]
    low, high, coverage = interval(ratios)
    return {
        "median": round(median(ratios), 3),
        "interval": [round(low, 3), round(high, 3)],
        "interval_coverage": round(coverage, 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def run(options: Options) -> Result:
    """Rows `configured/SHAPE/NAME`: events of `bench plan` in JSON, over all rounds. In each round every configuration
    has its turn, in another order; `setup.beside_bare` says what an event cost beside the bare configuration."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"rounds": ROUNDS, "users": items, "items_each": items}
    found: defaultdict[str, list[Row]] = defaultdict(list)
    with bench_cluster(options, CONFIGURATION) as cluster:
        options.say(f"{items} devices into their topic")
        load_devices(cluster, range(items), now_ms())
        for number in range(ROUNDS):
            each = configurations(datetime.now(UTC))
            for name in order([name for name in each if shapes_of(options, name)], number):
                options.say(f"round {number + 1}: {name}")
                for row in _rows(options, cluster, each[name], name, number, items):
                    found[row.name].append(row)
    setup["beside_bare"] = {
        name: compared(rows, found[_bare(name)]) for name, rows in found.items() if name != _bare(name)
    }
    return Result([summed(name, rows) for name, rows in found.items()], setup)


def shapes_of(options: Options, name: str) -> list[str]:
    """What is planned with the configuration of this name: with the bare one whatever is planned with another."""
    names = configurations(datetime.now(UTC)) if name == BARE else (name,)
    return [shape for shape in SHAPES if any(options.wants(f"configured/{shape}/{each}") for each in names)]


def _rows(
    options: Options, cluster: BenchCluster, configuration: dict[str, Any], name: str, number: int, items: int
) -> list[Row]:
    beside = replace(options, bootstrap_servers=cluster.settings.kafka.bootstrap_servers)
    rows = []
    with bench_cluster(beside, configuration) as its_own, role(its_own, "planner", "--lane", LANE, "--slot", "c") as it:
        for shape in shapes_of(options, name):
            warm_up = min(items, WARM_UP_ITEMS)
            planned_row(its_own, it, f"w-{shape}-{name}{number}", shape, "json", warm_up, items)
            row = f"configured/{shape}/{name}"
            rows.append(planned_row(its_own, it, f"m-{shape}-{name}{number}", shape, "json", items, items, row))
    return rows


def _bare(name: str) -> str:
    return f"{name.rpartition('/')[0]}/{BARE}"


def summed(name: str, rows: Sequence[Row]) -> Row:
    """One row of all rounds; of the memory the most."""
    seconds, cpu_seconds = sum(row.seconds for row in rows), sum(row.cpu_seconds for row in rows)
    return Row(name, sum(row.items for row in rows), seconds, cpu_seconds, max(row.rss_bytes for row in rows))
