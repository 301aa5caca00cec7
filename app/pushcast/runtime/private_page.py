"""The private page of a process without stages: its metrics, what it is, and whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pushcast.config.settings import Settings
from pushcast.observe.health import HealthServer
from pushcast.observe.metrics import Metrics


def private_page(
    settings: Settings, metrics: Metrics, info: Callable[[], dict[str, Any]], unready: Callable[[], list[str]]
) -> HealthServer:
    """`unready`: why it would not answer, one sentence each. It lives as long as its process runs."""
    observe = settings.observe
    return HealthServer(
        metrics=metrics.exposition, info=info, live=list, ready=unready, host=observe.host, port=observe.port
    )
