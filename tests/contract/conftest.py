from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and certificates of simulators are made once per run."""
    return tmp_path_factory.mktemp("simulators")
