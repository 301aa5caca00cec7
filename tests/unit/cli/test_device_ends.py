"""`pushcast device forget|unregister|sweep`: what they write, and what they refuse before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import orjson
import pytest
from typer.testing import CliRunner

from pushcast.audit.device_rows import Found
from pushcast.cli import device_ends
from pushcast.cli.device import app
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.ids import token_hash
from pushcast.model.ownership import NOBODY
from pushcast.register.sweep import DAY_MS, pass_of
from pushcast.wire.control.control import Halt, Kind, Name
from pushcast.wire.devices.ownership import decode_claims
from pushcast.wire.topics import DEVICE_CHANGED, TOKEN_CLAIM

NOW = 1_800_000_000_000
TOKEN = "ab12" * 16
SETTINGS = Settings.model_validate({"apps": {"news": {}}})


class Producer:
    """Keeps what is put."""

    written: list[tuple[str, bytes, bytes]]

    def __init__(self, settings: Settings) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def put(self, topic: str, user: str, value: bytes) -> None:
        self.put_keyed(topic, user.encode(), value)

    def put_keyed(self, topic: str, key: bytes, value: bytes) -> None:
        self.written.append((topic, key, value))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, bytes]]:
    Producer.written = []
    monkeypatch.setattr("pushcast.kafka.intake.IntakeProducer", Producer)
    monkeypatch.setattr(device_ends, "connect_by_user", lambda: SETTINGS)
    monkeypatch.setattr(device_ends, "connect", lambda: SETTINGS)
    monkeypatch.setattr(device_ends, "_now_ms", lambda: NOW)
    return Producer.written


def run(*arguments: str, given: str | None = None, code: int = 0) -> str:
    found = CliRunner().invoke(app, list(arguments), input=given)
    assert found.exit_code == code, found.output
    return found.stdout


def test_forgetting_says_when_the_last_record_of_the_user_is_gone(written: list[tuple[str, bytes, bytes]]) -> None:
    told = orjson.loads(run("forget", "u-1", "--output", "json"))
    assert written == [(DEVICE_CHANGED, b"u-1", b'{"op":"forget_user","at":%d}' % NOW)]
    assert (told["user"], told["at"]) == ("u-1", "2027-01-15T08:00:00.000Z")
    assert told["gone_everywhere_by"] >= "2027-01-29"  # dead letters are kept for 14 days


@pytest.mark.parametrize("named", [("--device", "d-1"), ("--platform", "apns", "--token", TOKEN)])
def test_a_device_of_a_user_is_unregistered_by_id_or_token(
    named: tuple[str, ...], written: list[tuple[str, bytes, bytes]]
) -> None:
    run("unregister", "--user", "u-1", "--app", "news", *named)
    [(topic, key, value)] = written
    event = orjson.loads(value)
    assert (topic, key, event["op"], event["at"]) == (DEVICE_CHANGED, b"u-1", "unregister", NOW)
    assert ("device" in event) is not ("token" in event)


def test_a_token_alone_is_taken_from_whoever_has_it_and_is_read_from_stdin(
    written: list[tuple[str, bytes, bytes]],
) -> None:
    said = run("unregister", "--app", "news", "--platform", "apns", "--token", "-", given=f"{TOKEN.upper()}\n")
    [(topic, key, value)] = written
    [claim] = decode_claims(key, value)
    assert (topic, key) == (TOKEN_CLAIM, token_hash(TOKEN.encode()))
    assert (claim.registration.key, claim.registration.at, claim.over) == (NOBODY, NOW, False)
    assert TOKEN not in said.lower()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--user", "u-1"),
        ("--user", "u-1", "--device", "d", "--platform", "apns", "--token", TOKEN),
        ("--device", "d"),
        ("--token", TOKEN),
    ],
)
def test_what_names_no_device_is_refused(wrong: tuple[str, ...], written: list[tuple[str, bytes, bytes]]) -> None:
    run("unregister", "--app", "news", *wrong, code=2)
    assert not written


def test_a_confirmation_is_for_today(monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]) -> None:
    said: list[Any] = []
    monkeypatch.setattr("pushcast.kafka.switchboard.write", lambda _, *entry: said.append(entry))
    assert orjson.loads(run("sweep", "--confirm", "--output", "json")) == {"confirmed": "2027-01-15"}
    assert said == [(Name(Kind.SWEEP, pass_of(NOW)), Halt(since_ms=NOW, remove_at=NOW + 2 * DAY_MS))]


@pytest.mark.parametrize(("fresh", "code"), [(30, 0), (2, 1)])
def test_a_count_tells_where_the_brake_holds(
    fresh: int, code: int, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    def rows(_: Settings) -> Iterator[Found]:
        for number in range(fresh + 1):
            at = NOW - (301 if number == 0 else 1) * DAY_MS
            yield Found(3, "u", DeviceRow("news", "d", "apns", "token", b"a", "", b"h", "active", at, at))
        yield Found(3, "u", None)

    monkeypatch.setattr("pushcast.audit.device_rows.device_rows", rows)
    [told] = orjson.loads(run("sweep", "--output", "json", code=code))
    assert told == {
        "partition": 3,
        "devices": fresh + 1,
        "stale": {"apns": 1},
        "markers": 0,
        "overdue": 0,
        "braked": bool(code),
    }
    assert f"{fresh + 1} devices, stale: 1 apns" in run("sweep", code=code)
