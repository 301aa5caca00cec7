from __future__ import annotations

from pathlib import Path

import pytest
import typer

from pushcast.cli import build
from pushcast.config.settings import CONFIG_VARIABLE, Settings
from pushcast.kafka.topics.errors import PartitionsDiffer


@pytest.mark.parametrize(
    "command",
    [
        ["send", "--user", "u", "--app", "news", "--title", "t"],
        ["device", "show", "u"],
        ["audit"],
        ["dlq", "list"],
    ],
)
def test_what_goes_by_user_is_refused_on_a_cluster_with_other_partitions(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pushcast.yaml").write_text("apps: {news: {}}\n")
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "pushcast.yaml"))

    def refuse(settings: Settings) -> None:
        raise PartitionsDiffer("it has 8 partitions and kafka.partitions is 4")

    monkeypatch.setattr("pushcast.cli.session.check_cluster", refuse)
    with pytest.raises(PartitionsDiffer):
        typer.main.get_command(build([command[0]])).main(command, standalone_mode=False)
