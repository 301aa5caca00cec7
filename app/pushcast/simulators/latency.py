"""How long answers take, and what was measured of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from pushcast.simulators.values import fields, number, optional

# Standard normal quantile of 0.99, for a log-normal given by its p50 and p99.
_Z99: Final = 2.3263478740408408


@dataclass(frozen=True, slots=True)
class Latency:
    """Constant ± uniform jitter, or log-normal when `p99_ms` is given (then `ms` is the median)."""

    ms: float = 0.0
    jitter_ms: float = 0.0
    p99_ms: float | None = None

    @classmethod
    def parse(cls, value: dict[str, Any] | float) -> Latency:
        """From `{ms, jitter_ms}`, `{p50_ms, p99_ms}` or a number of milliseconds. Raises ValueError."""
        if isinstance(value, int | float):
            value = {"ms": value}
        found = fields("latency", value, ("ms", "jitter_ms", "p50_ms", "p99_ms"))
        ms = number("latency", found.get("p50_ms", found.get("ms", 0.0)), least=-math.inf)
        jitter_ms = number("latency.jitter_ms", found.get("jitter_ms", 0.0), least=-math.inf)
        p99_ms = optional(number)("latency.p99_ms", found.get("p99_ms"))
        if ms < 0 or jitter_ms < 0 or (p99_ms is not None and not 0 < ms <= p99_ms):
            raise ValueError("latency: times are not negative and p50_ms is above 0 and at most p99_ms")
        return cls(ms, jitter_ms, p99_ms)

    def sample_seconds(self, random: Random) -> float:
        if self.p99_ms is not None:
            return self.ms / 1000 * math.exp(math.log(self.p99_ms / self.ms) / _Z99 * random.gauss(0.0, 1.0))
        if self.jitter_ms:
            return max(0.0, self.ms + self.jitter_ms * (2 * random.random() - 1)) / 1000
        return self.ms / 1000


class LatencyHistogram:
    """Milliseconds in buckets of 2 %: quantiles are right within 2 %, memory is about 1,100 counters."""

    _BASE: Final = math.log(1.02)
    _FLOOR_MS: Final = 0.01

    def __init__(self) -> None:
        self._counts: list[int] = [0] * 1_100
        self.count = 0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        """Values below 0.01 ms (a producer's clock ahead of ours) count as 0.01."""
        index = int(math.log(ms / self._FLOOR_MS) / self._BASE) if ms > self._FLOOR_MS else 0
        self._counts[min(index, len(self._counts) - 1)] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, ms)

    def merge(self, counts: Mapping[str, int], max_ms: float) -> None:
        """Adds what another histogram gave as `counts`: percentiles cannot be added, buckets can."""
        for index, count in counts.items():
            self._counts[int(index)] += count
            self.count += count
        self.max_ms = max(self.max_ms, max_ms)

    def counts(self) -> dict[str, int]:
        """Buckets that are not empty by their number, as text for JSON; for `merge`."""
        return {str(index): count for index, count in enumerate(self._counts) if count}

    def quantile_ms(self, quantile: float) -> float | None:
        if not self.count:
            return None
        rank, seen = math.ceil(quantile * self.count), 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return float(min(self.max_ms, self._FLOOR_MS * math.exp((index + 1) * self._BASE)))
        return self.max_ms

    def summary(self) -> dict[str, float | int | None]:
        names = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        quantiles = {name: self.quantile_ms(q) for name, q in names.items()}
        rounded = {name: None if value is None else round(value, 3) for name, value in quantiles.items()}
        return {"count": self.count, **rounded, "max": round(self.max_ms, 3) if self.count else None}
