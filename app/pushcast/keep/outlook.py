"""What of all that waits in a partition expires before it may leave: its rate is too slow, or more is due in one minute
than its provider takes.

About: of many some are looked at, and one partition stands for all, because users are spread evenly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pushcast.keep.index import QUEUES, place_of, until
from pushcast.model.drain import Drain, EvenSample, Lifetime, late_at_provider
from pushcast.model.forecast import HORIZON_MS, MINUTE_MS, Forecast, provider_of
from pushcast.model.pacing import Rates
from pushcast.stream.table import Table
from pushcast.wire.waiting.timers import Timer, readable, user_key

#: Entries between two turns of the loop for others.
SLICE_ENTRIES: Final = 500


def unknown(_: str, __: Timer) -> Lifetime | None:
    """Of no timer it is known how long it lives."""
    return None


class OutlookRules(NamedTuple):
    """`quotas`: pushes that a provider takes in a minute, by app. `lifetime_of`: of a user's timer."""

    rates: Rates
    partitions: int
    quotas: Mapping[str, int] = {}
    lifetime_of: Callable[[str, Timer], Lifetime | None] = unknown


class Outlook:
    """Of the partitions of one table; it keeps nothing of them."""

    def __init__(self, table: Table, rules: OutlookRules) -> None:
        self._table = table
        self._rules = rules

    async def of_rate(self, partition: int, name: str, queue: bytes, found: Forecast, most: int) -> int:
        """Adds what waits for one rate to the forecast, at the times at which the rate lets it leave. Returns how many
        entries were looked at."""
        per_minute = self._rules.rates.per_minute(name)
        drain = Drain[bytes]((per_minute or 0) / self._rules.partitions or float("inf"), found.now_ms)
        first, last = queue, until(queue, found.now_ms + HORIZON_MS)
        while drain.count < most and (entries := self._table.index(partition, first, last, SLICE_ENTRIES)):
            for place in map(place_of, entries):
                found.add(drain.add(place.key, place.at_ms))
            first = entries[-1] + b"\0"
            await asyncio.sleep(0)
        if late := drain.late(lambda key: _expiry(self._lifetime(partition, key))):
            found.to_expire[name] = late
        return drain.count

    async def of_fullest_minute(self, partition: int, found: Forecast) -> None:
        """Adds what of the fullest minute its provider cannot take while it lives."""
        quotas, peak, partitions = self._rules.quotas, found.peak, self._rules.partitions
        if peak is None or not quotas or peak.due * partitions <= min(quotas.values()):
            return
        is_now = peak.at_ms <= found.now_ms
        sample = EvenSample[bytes]()
        for queue in QUEUES:  # what is overdue is due now
            first, last = queue if is_now else until(queue, peak.at_ms - 1), until(queue, peak.at_ms + MINUTE_MS - 1)
            while entries := self._table.index(partition, first, last, SLICE_ENTRIES):
                for entry in entries:
                    sample.add(entry)
                first = entries[-1] + b"\0"
                await asyncio.sleep(0)
        lives = sample.of(lambda entry: self._lifetime(partition, place_of(entry).key))
        for app, quota in quotas.items():
            if late := late_at_provider(lives, app, quota / partitions, max(peak.at_ms, found.now_ms)):
                found.to_expire[provider_of(app)] = late

    def _lifetime(self, partition: int, key: bytes) -> Lifetime | None:
        value = self._table.get(partition, key)
        timer = None if value is None else readable(value)
        return None if timer is None else self._rules.lifetime_of(user_key(key).decode("utf-8", "replace"), timer)


def _expiry(lifetime: Lifetime | None) -> int | None:
    return None if lifetime is None else lifetime.expires_at
