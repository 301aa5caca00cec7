"""What providers and engines say of their pools where a test does not ask for it."""

from __future__ import annotations

from pushcast.http2.pool_stats import PoolStats


class Steady:
    """Never slow, and without a pool."""

    slow = False

    def pools(self) -> list[PoolStats]:
        return []
