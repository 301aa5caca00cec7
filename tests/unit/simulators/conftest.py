"""Simulators for tests, one per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pushcast.simulators import Simulator, start


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and certificates are made once per run."""
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture
async def apns(work_dir: Path) -> AsyncIterator[Simulator]:
    async with start("apns", work_dir=work_dir, apps=2) as simulator:
        yield simulator


@pytest.fixture
async def fcm(work_dir: Path) -> AsyncIterator[Simulator]:
    async with start("fcm", work_dir=work_dir, apps=2) as simulator:
        yield simulator
