"""A simulator's own line becomes configuration that Pushcast takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.simulators import start
from pushcast.simulators.configuration import write_into


async def test_all_simulators_write_one_file_that_pushcast_takes(tmp_path: Path) -> None:
    file = tmp_path / "pushcast.yaml"
    file.write_text("kafka: {partitions: 4}\n")
    for platform in Platform:
        (folder := tmp_path / platform).mkdir()
        async with start(platform, work_dir=folder, apps=2) as simulator:
            write_into(file, line := simulator.describe())
    settings = Settings.model_validate(yaml.safe_load(file.read_text()))
    assert settings.kafka.partitions == 4
    assert {name: app.platforms() for name, app in settings.apps.items()} == {
        name: list(Platform) for name in line["credentials"]["apps"]
    }
    assert len(settings.apps) == 2
    apns = settings.apps["news"].apns
    assert apns is not None
    assert apns.channels_endpoint == apns.endpoint, "`pushcast channel` asks the simulator, not Apple"


def test_a_file_that_is_no_mapping_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "pushcast.yaml"
    file.write_text("- a list\n")
    with pytest.raises(ConfigurationError, match="not a mapping"):
        write_into(file, {})
    assert file.read_text() == "- a list\n"
