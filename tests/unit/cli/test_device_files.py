"""`pushcast device import|export`: what is written, left out and refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from pushcast.audit.device_rows import Found
from pushcast.cli import device_files
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from unit.cli.test_device_ends import SETTINGS, Producer, run

TOKEN = "ab12" * 16
ACTIVE = "2026-11-21 09:00:00 UTC"
ACTIVE_MS = 1_795_251_600_000


def row_of(user: str, device: str, at: int, **fields: Any) -> Found:
    row = DeviceRow("news", device, "apns", "token", TOKEN.encode(), "", b"h" * 16, "active", at, at)
    return Found(0, user, DeviceRow(**{**{name: getattr(row, name) for name in row.__struct_fields__}, **fields}))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, bytes]]:
    Producer.written = []
    monkeypatch.setattr("pushcast.kafka.intake.IntakeProducer", Producer)
    monkeypatch.setattr(device_files, "connect_by_user", lambda: SETTINGS)
    return Producer.written


def there(monkeypatch: pytest.MonkeyPatch, *rows: Found) -> None:
    def found(_: Settings) -> Iterator[Found]:
        yield from rows

    monkeypatch.setattr("pushcast.audit.device_rows.device_rows", found)


def onesignal(folder: Path, *rows: dict[str, str]) -> str:
    text = io.StringIO()
    base = {"id": "", "identifier": TOKEN, "device_type": "0", "last_active": ACTIVE, "external_user_id": "u-1"}
    writer = csv.DictWriter(text, list(base))
    writer.writeheader()
    for row in rows:
        writer.writerow({**base, **row})
    file = folder / "players.csv"
    file.write_text(text.getvalue())
    return str(file)


def test_fact_50_a_file_imported_twice_writes_nothing_and_a_newer_registration_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    file = onesignal(tmp_path, {"id": "a"}, {"id": "b"}, {"id": "mail", "device_type": "11"}, {"id": "live"})
    arguments = ("import", file, "--from", "onesignal", "--app", "news", "--output", "json")
    there(monkeypatch, row_of("u-1", "live", ACTIVE_MS + 1))
    assert orjson.loads(run(*arguments)) == {
        "sent": 2,
        "refused": 0,
        "unchanged": 0,
        "outdated": 1,
        "skipped": {"device_type": 1},
    }
    assert [orjson.loads(value)["device"] for _, _, value in written] == ["a", "b"]
    written.clear()
    there(
        monkeypatch, *(row_of("u-1", device, ACTIVE_MS) for device in ("a", "b")), row_of("u-1", "live", ACTIVE_MS + 1)
    )
    assert orjson.loads(run(*arguments))["sent"] == 0
    assert not written


def test_a_dry_run_counts_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    file = onesignal(tmp_path, {"id": "a"}, {"id": "b", "identifier": "no token"})
    told = run("import", file, "--from", "onesignal", "--app", "news", "--dry-run", "--output", "json", code=1)
    assert (orjson.loads(told)["sent"], orjson.loads(told)["refused"]) == (1, 1)
    assert not written


@pytest.mark.parametrize("app", [(), ("--app", "nws")])
def test_a_foreign_file_needs_an_app_that_is_configured(
    app: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    run("import", onesignal(tmp_path, {"id": "a"}), "--from", "onesignal", *app, code=1)
    assert not written


def test_an_export_has_the_apps_devices_without_those_that_are_gone(
    monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    others = [row_of("u-2", "d", 5, app="chat"), row_of("u-3", "d", 5, state="gone"), Found(0, "u-4", None)]
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS), *others)
    [line] = run("export", "--app", "news").splitlines()
    exported = orjson.loads(line)
    assert (exported["user"], exported["token"], exported["at"]) == ("u-1", TOKEN, "2026-11-21T09:00:00.000Z")
    header, row = csv.reader(io.StringIO(run("export", "--app", "news", "--format", "csv")))
    assert dict(zip(header, row, strict=True))["device"] == "d"


def test_fact_51_an_export_as_csv_is_imported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS, topics=("a",), tags={"plan": "pro"}))
    file = tmp_path / "devices.csv"
    file.write_text(run("export", "--app", "news", "--format", "csv"))
    told = orjson.loads(run("import", str(file), "--from", "csv", "--output", "json"))
    assert (told["sent"], told["unchanged"], written) == (0, 1, [])
    there(monkeypatch)
    assert orjson.loads(run("import", str(file), "--from", "csv", "--output", "json"))["sent"] == 1
    [(_, user, value)] = written
    assert (user, orjson.loads(value)["topics"], orjson.loads(value)["tags"]) == (b"u-1", ["a"], {"plan": "pro"})


def test_a_sealed_token_is_not_in_an_export_without_the_keyring(
    monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS, address=b"sealed", key_id="k1"))
    exported = orjson.loads(run("export", "--app", "news"))
    assert (exported["key_id"], "token" in exported) == ("k1", False)
