"""`pushcast key` against a topic of keys in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.gateway.keyring import ApiKeyring
from pushcast.model.errors import InvalidInput


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ApiKeyring:
    """What gateways make of what the commands write."""
    path = tmp_path / "pushcast.yaml"
    path.write_text("apps: {news: {}}\n")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    found = ApiKeyring()
    monkeypatch.setattr(
        "pushcast.kafka.switchboard.write_record", lambda _settings, _topic, key, value: found.apply(key, value)
    )
    return found


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build(("key",)), ["key", *arguments, "--output", "json"], catch_exceptions=False)


def test_a_key_that_is_printed_is_one_that_gateways_know(keys: ApiKeyring) -> None:
    printed = json.loads(run("create", "--label", "x" * 200).stdout)
    assert keys.record(printed["id"]) is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "--label", "x" * 201), "label"),
        (("create", "--requests-per-minute", "10000001"), "requests_per_minute"),
        (("create", "--notifications-per-minute", "1000000001"), "notifications_per_minute"),
        (("create-app", "news", "--label", "x" * 201), "label"),
    ],
)
def test_a_key_that_every_gateway_would_ignore_is_refused_and_not_printed(
    keys: ApiKeyring, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        run(*arguments)
    assert keys.records() == {}
    assert not keys.ignored
