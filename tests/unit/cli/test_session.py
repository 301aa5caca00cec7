from __future__ import annotations

from pathlib import Path

import pytest
import typer

from pushcast.cli import build
from pushcast.cli.session import connect
from pushcast.config.settings import CONFIG_VARIABLE, Settings
from pushcast.kafka.topics.errors import PartitionsDiffer
from pushcast.model.errors import ConfigurationError


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


@pytest.mark.parametrize("servers", ["", "a:b", "a b:1", "localhost:99999", "SSL://127.0.0.1:1"])
def test_bootstrap_servers_of_the_command_line_are_refused_as_those_of_the_configuration(
    servers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=r"^--bootstrap-servers: "):
        connect(servers)


def test_bootstrap_servers_of_the_command_line_have_the_one_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setattr("pushcast.cli.session.require_broker", lambda servers: None)
    assert connect("PLAINTEXT://127.0.0.1:1, b:2,").kafka.bootstrap_servers == "127.0.0.1:1,b:2"
