"""Every test below this folder runs on the embedded Kafka and carries the marker `flow`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The hook sees the whole run's tests, not only this folder's.
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.flow)
    # They take longest. First, so that no worker is left with one of them when the others have nothing more to do.
    items.sort(key=lambda item: not item.path.is_relative_to(HERE))


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """Stages that a test hosts beside each other in its own process run on asyncio's loop. The processes that tests
    start run on uvloop, as they do everywhere."""
    return asyncio.DefaultEventLoopPolicy()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name nobody else on the shared broker uses: `unique("orders")`."""
    suffix = uuid.uuid4().hex[:10]
    return lambda name: f"{name}-{suffix}"
