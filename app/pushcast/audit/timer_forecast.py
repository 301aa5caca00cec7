"""What waits in one partition, as a forecast: when it leaves, and what of it expires before its rate lets it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from pushcast.model.drain import Drain, Lifetime
from pushcast.model.forecast import Forecast
from pushcast.model.pacing import Rates
from pushcast.wire.waiting.timers import Timer


def add_timers(
    found: Forecast,
    timers: Iterable[tuple[str, Timer]],
    rates: Rates,
    partitions: int,
    lifetime_of: Callable[[str, Timer], Lifetime | None],
) -> None:
    """Adds those of one partition, each with its user. Each partition has an equal share of a rate."""
    paced: dict[str, list[tuple[str, Timer]]] = defaultdict(list)
    for user, timer in timers:
        if timer.pace and not timer.closes and rates.per_minute(timer.pace) is not None:
            paced[timer.pace].append((user, timer))
        else:
            found.add(timer.due_at)

    def expires_at(each: tuple[str, Timer]) -> int | None:
        lifetime = lifetime_of(*each)
        return None if lifetime is None else lifetime.expires_at

    for name, waiting in paced.items():
        drain = Drain[tuple[str, Timer]]((rates.per_minute(name) or 1) / partitions, found.now_ms)
        for each in sorted(waiting, key=lambda each: (each[1].due_at, each[1].keep_offset)):
            found.add(drain.add(each, each[1].due_at))
        if late := drain.late(expires_at):
            found.to_expire[name] = found.to_expire.get(name, 0) + late
