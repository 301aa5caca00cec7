"""Latencies as counts in buckets whose bounds grow by 2^(1/8): percentiles within 4.5 %, and sums that can be undone.

Adding two histograms is adding their counts, and taking one delivery out again is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

BUCKETS_PER_OCTAVE: Final = 8
#: Half a bucket, as a share of the value: what a percentile may be wrong by.
RELATIVE_ERROR: Final = 2 ** (1 / (2 * BUCKETS_PER_OCTAVE)) - 1
MAX_MS: Final = 28 * 86_400_000  # the longest that a notification may live
_LAST: Final = math.ceil(math.log2(MAX_MS) * BUCKETS_PER_OCTAVE)
_NAMES: Final = tuple(map(str, range(_LAST + 1)))


def bucket_of(latency_ms: int) -> int:
    """Number of the bucket; a latency of 0 or less (clocks differ) is 1 ms."""
    return min(_LAST, math.floor(math.log2(latency_ms) * BUCKETS_PER_OCTAVE)) if latency_ms > 1 else 0


@lru_cache(maxsize=1 << 16)
def bucket_name(latency_ms: int) -> str:
    """The number of the bucket as histograms name it."""
    return _NAMES[bucket_of(latency_ms)]


def value_of(bucket: int) -> float:
    """Milliseconds in the middle of the bucket, in the sense of ratios."""
    return float(2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE))


def histogram(counts: Mapping[str, int]) -> list[dict[str, float]]:
    """How many latencies lie in each bucket that has any, the shortest first: its upper bound in milliseconds."""
    buckets = sorted((int(name), count) for name, count in counts.items() if count)
    return [
        {"up_to_ms": round(2 ** ((bucket + 1) / BUCKETS_PER_OCTAVE), 1), "count": count} for bucket, count in buckets
    ]


def percentiles(counts: Mapping[str, int], shares: tuple[float, ...]) -> list[float | None]:
    """Milliseconds below which these shares of the latencies lie; None of each when there are none.

    `counts`: by number of the bucket.
    """
    total = sum(counts.values())
    if not total:
        return [None] * len(shares)
    found: list[float | None] = []
    for share in shares:
        wanted, passed = math.ceil(share * total), 0
        for bucket in sorted(map(int, counts)):
            passed += counts[str(bucket)]
            if passed >= wanted:
                found.append(round(value_of(bucket), 1))
                break
    return found
