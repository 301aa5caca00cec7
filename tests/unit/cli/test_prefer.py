"""`pushcast prefer`: what becomes an event, and what is refused before."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from pushcast.cli import build, prefer
from pushcast.config.settings import Settings
from pushcast.kafka import intake
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import user_row_key
from pushcast.model.user import UserRow
from pushcast.wire import topics
from pushcast.wire.devices.user_rows import encode_user_row


class Producer:
    """Notes what is put."""

    put_so_far: list[tuple[str, str, Any]] = []  # noqa: RUF012 - emptied by each test

    def __init__(self, _: Settings) -> None: ...
    def __enter__(self) -> Producer:
        return self

    def __exit__(self, *_: object) -> None: ...
    def put(self, topic: str, user: str, value: bytes) -> None:
        self.put_so_far.append((topic, user, orjson.loads(value)))


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    Producer.put_so_far.clear()
    monkeypatch.setattr(prefer, "connect_by_user", lambda: Settings(apps={"news": {}}))  # type: ignore[dict-item]
    monkeypatch.setattr(intake, "IntakeProducer", Producer)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build(["prefer"]), ["prefer", *arguments])


def test_what_is_given_is_the_event() -> None:
    given = ("--class", "promo=off", "--thread", "a=b=on", "--quiet", "22:00-07:00@mon,tue", "--app", "news")
    result = run("--user", "u", *given, "--time-zone", "Europe/Berlin")
    assert result.exit_code == 0, result.output
    assert Producer.put_so_far == [
        (
            topics.DEVICE_CHANGED,
            "u",
            {
                "op": "prefer",
                "app": "news",
                "classes": {"promo": "off"},
                "threads": {"a=b": "on"},
                "quiet_hours": [{"from": "22:00", "to": "07:00", "days": ["mon", "tue"]}],
                "time_zone": "Europe/Berlin",
            },
        )
    ]


@pytest.mark.parametrize("given", [("--quiet", "22-7"), ("--class", "promo")])
def test_what_cannot_be_read_is_a_usage_error(given: tuple[str, str]) -> None:
    assert run("--user", "u", *given).exit_code == 2
    assert run(*given).exit_code == 2


def test_what_a_registrar_would_refuse_is_refused_here() -> None:
    result = run("--user", "u", "--time-zone", "Mars/Phobos")
    assert isinstance(result.exception, InvalidInput)
    assert Producer.put_so_far == []


def test_show_tells_all_apps_and_each_app(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        (user_row_key("u"), encode_user_row(UserRow(at=0, classes={"promo": "off"}))),
        (user_row_key("u", "news"), encode_user_row(UserRow(at=1, time_zone="Asia/Tokyo"))),
    ]
    monkeypatch.setattr(intake, "own_rows_of_user", lambda *_: rows)
    shown = orjson.loads(run("show", "u", "--output", "json").output)
    assert [(row["app"], row.get("classes"), row.get("time_zone")) for row in shown] == [
        (None, {"promo": "off"}, None),
        ("news", None, "Asia/Tokyo"),
    ]
    monkeypatch.setattr(intake, "own_rows_of_user", lambda *_: [])
    assert "nothing" in run("show", "u").output
