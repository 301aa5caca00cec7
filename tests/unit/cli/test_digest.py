"""`pushcast digest flush`: what becomes an event, and what is refused before."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from pushcast.cli import build, digest
from pushcast.config.providers import App
from pushcast.config.settings import Settings
from pushcast.kafka import intake
from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire import topics


class Written:
    """Notes what is put."""

    so_far: list[tuple[str, str, Any]] = []  # noqa: RUF012 - emptied by each test

    def __init__(self, _: Settings) -> None: ...
    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None: ...
    def put(self, topic: str, user: str, value: bytes) -> None:
        self.so_far.append((topic, user, orjson.loads(value)))


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    Written.so_far.clear()
    monkeypatch.setattr(digest, "connect_by_user", lambda: Settings(apps={"news": App()}))
    monkeypatch.setattr(intake, "IntakeProducer", Written)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build(["digest"]), ["digest", *arguments])


def test_a5_a_flush_is_an_event_of_the_user() -> None:
    result = run("flush", "--user", "u", "--app", "news", "--class", "likes", "--output", "json")
    assert result.exit_code == 0, result.output
    said = {"event": "flush", "app": "news", "class": "likes"}
    assert Written.so_far == [(topics.ENGAGEMENT, "u", said)]
    assert orjson.loads(result.output) == {"user": "u", **said}


def test_what_keepers_would_refuse_is_not_written() -> None:
    assert isinstance(run("flush", "--user", "u", "--app", "a\0").exception, InvalidInput)
    assert Written.so_far == []


def test_the_digests_of_no_app_are_not_flushed() -> None:
    """Nobody would hear of it, and the command said that they leave."""
    refused = run("flush", "--user", "u", "--app", "nwes").exception
    assert isinstance(refused, ConfigurationError)
    assert "there is no app 'nwes'" in str(refused)
    assert Written.so_far == []
