from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.config.again import loaded
from pushcast.model.errors import ConfigurationError


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pushcast.yaml"
    path.write_text("kafka: {partitions: 4}\n")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    return path


def test_what_nobody_changed_is_the_same_object() -> None:
    found = loaded()
    assert found.again() is found.settings


def test_a_changed_file_is_read_again(file: Path) -> None:
    found = loaded()
    file.write_text("kafka: {partitions: 5}\n")
    assert (found.settings.kafka.partitions, found.again().kafka.partitions) == (4, 5)


def test_a_changed_variable_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded()
    monkeypatch.setenv("PUSHCAST_KAFKA__PARTITIONS", "6")
    assert found.again().kafka.partitions == 6


def test_a_file_that_has_become_wrong_or_has_gone_is_refused(file: Path) -> None:
    found = loaded()
    file.write_text("kafka: {partition: 5}\n")
    with pytest.raises(ConfigurationError, match="partition"):
        found.again()
    file.unlink()
    with pytest.raises(ConfigurationError, match="is not a file"):
        found.again()
