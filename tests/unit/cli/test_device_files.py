"""`pushcast device import|export`: what is written, left out and refused."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from pushcast.audit.device_rows import Found
from pushcast.cli import device_files, device_out
from pushcast.cli.device import app
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.errors import ConfigurationError
from unit.cli.test_device_ends import SETTINGS, Producer, run

TOKEN = "ab12" * 16
ACTIVE = "2026-11-21 09:00:00 UTC"
ACTIVE_MS = 1_795_251_600_000


def invoke(*arguments: str) -> None:
    """Raises what the command raises."""
    CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def row_of(user: str, device: str, at: int, **fields: Any) -> Found:
    row = DeviceRow("news", device, "apns", "token", TOKEN.encode(), "", b"h" * 16, "active", at, at)
    return Found(0, user, DeviceRow(**{**{name: getattr(row, name) for name in row.__struct_fields__}, **fields}))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, bytes]]:
    Producer.written = []
    monkeypatch.setattr("pushcast.kafka.intake.IntakeProducer", Producer)
    for module in (device_files, device_out):
        monkeypatch.setattr(module, "connect_by_user", lambda: SETTINGS)
    return Producer.written


def there(monkeypatch: pytest.MonkeyPatch, *rows: Found) -> None:
    def found(_: Settings, without: frozenset[int] = frozenset()) -> Iterator[tuple[int, Iterator[Found]]]:
        for partition in sorted({row.partition for row in rows} - without):
            yield partition, iter([row for row in rows if row.partition == partition])

    monkeypatch.setattr("pushcast.audit.device_rows.by_partition", found)


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
        "read": 4,
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


def test_an_export_as_parquet_has_the_columns_of_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS, topics=("a",)), row_of("u-2", "d", 5, app="chat"))
    file = tmp_path / "devices.parquet"
    run("export", "--app", "news", "--format", "parquet", "--file", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    table = pyarrow.parquet.read_table(file)
    [row] = table.to_pylist()
    assert (row["user"], row["topics"], table.column_names[:2]) == ("u-1", '["a"]', ["user", "op"])
    for arguments, words in (
        (["--file", str(file)], "is there already"),
        ([], "name a --file"),
        (["--file", str(file), "--resume"], "in one go"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            invoke("export", "--app", "news", "--format", "parquet", *arguments)


def test_parquet_without_its_package_says_what_to_install_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    file = tmp_path / "devices.parquet"
    with pytest.raises(ConfigurationError, match="--format parquet needs the package pyarrow"):
        invoke("export", "--app", "news", "--format", "parquet", "--file", str(file))
    assert not file.exists()


def test_a_sealed_token_is_not_in_an_export_without_the_keyring(
    monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS, address=b"sealed", key_id="k1"))
    exported = orjson.loads(run("export", "--app", "news"))
    assert (exported["key_id"], "token" in exported) == ("k1", False)


def test_an_import_that_is_held_stages_its_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    run("import", onesignal(tmp_path, {"id": "a"}), "--from", "onesignal", "--app", "news", "--held")
    [(_, _, value)] = written
    assert orjson.loads(value)["staged"] is True
    written.clear()
    lines = tmp_path / "lines.jsonl"
    event = {"user": "u-1", "op": "register", "app": "news", "device": "d", "platform": "apns", "token": TOKEN}
    lines.write_bytes(orjson.dumps(event) + b"\n" + b'{"user": "u-1", "op": "forget_user"}\n{broken\n')
    told = orjson.loads(run("import", str(lines), "--held", "--output", "json", code=1))
    assert told == {"sent": 2, "refused": 1}
    assert ["staged" in orjson.loads(value) for _, _, value in written] == [True, False]


def test_an_activation_is_written_for_each_staged_device_of_the_app(
    monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    others = [row_of("u-2", "d", 5, app="chat", state="staged"), row_of("u-3", "d", 5), Found(0, "u-4", None)]
    there(monkeypatch, row_of("u-1", "d", 5, state="staged"), *others)
    assert orjson.loads(run("release", "--app", "news", "--dry-run", "--output", "json"))["released"] == 1
    assert written == []
    assert "1 device released" in run("release", "--app", "news")
    [(_, user, value)] = written
    assert (user, orjson.loads(value)) == (b"u-1", {"op": "activate", "app": "news", "device": "d"})


def test_a_staged_device_is_staged_in_an_export(
    monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS, state="staged"), row_of("u-2", "d", ACTIVE_MS))
    assert ["staged" in orjson.loads(line) for line in run("export", "--app", "news").splitlines()] == [True, False]


def test_a_table_is_read_by_its_map_and_a_time_stands_in_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    table, names = tmp_path / "table.csv", tmp_path / "map.json"
    table.write_text(f"who,phone,token\nu-1,p-1,{TOKEN}\n")
    columns = {"user": "who", "device": "phone", "token": "token"}
    names.write_bytes(orjson.dumps({"columns": columns, "constants": {"platform": "apns"}}))
    arguments = ("import", str(table), "--from", "csv", "--map", str(names), "--app", "news", "--output", "json")
    assert orjson.loads(run(*arguments))["skipped"] == {"no_time": 1}
    assert orjson.loads(run(*arguments, "--at", "2026-11-21T09:00:00Z"))["sent"] == 1
    [(_, user, value)] = written
    assert (user, orjson.loads(value)["at"]) == (b"u-1", "2026-11-21T09:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--at", "2026-11-21T09:00:00Z"), "for files of other systems"),
        (("--from", "sns", "--app", "news", "--at", "yesterday"), "--at"),
        (("--from", "sns", "--app", "news", "--map", "MAP"), "--map"),
        (("--from", "csv", "--map", "MAP"), "needs --app"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: list[tuple[str, bytes, bytes]],
) -> None:
    there(monkeypatch)
    wrong = tmp_path / "map.json"
    wrong.write_text('{"column": {}}')
    named = [str(wrong) if each == "MAP" else each for each in arguments]
    with pytest.raises(ConfigurationError, match=says):
        invoke("import", onesignal(tmp_path, {"id": "a"}), *named)


def exported(file: Path, *more: str) -> str:
    run("export", "--app", "news", "--file", str(file), *more)
    return file.read_text()


@pytest.mark.parametrize("user", ["u-0", "u-1", "u-3"])  # first device, first partition, second partition
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_that_was_interrupted_goes_on_behind_its_last_whole_partition(
    form: str, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    rows = [row_of(f"u-{number}", "d", ACTIVE_MS)._replace(partition=number // 2) for number in range(6)]
    there(monkeypatch, *rows)
    whole = exported(tmp_path / "whole", "--format", form)
    file, sound = tmp_path / "part", device_out._line

    def failing(found: str, *more: Any) -> Any:
        if found == user:
            raise ConnectionError("Kafka is away")
        return sound(found, *more)

    monkeypatch.setattr(device_out, "_line", failing)
    with pytest.raises(ConnectionError):
        invoke("export", "--app", "news", "--file", str(file), "--format", form)
    monkeypatch.setattr(device_out, "_line", sound)
    assert exported(file, "--format", form, "--resume") == whole
    assert not list(tmp_path.glob("*.progress"))
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_export_that_ended_before_its_file_was_there_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS))
    (tmp_path / "devices.progress").write_text('{"app": "news", "form": "jsonl", "plain": false}')
    assert exported(tmp_path / "devices", "--resume") == exported(tmp_path / "whole")


def test_a_resume_that_would_mix_or_lose_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch, row_of("u-1", "d", ACTIVE_MS))
    file = tmp_path / "devices"
    arguments = ("export", "--app", "news", "--file", str(file))
    exported(file)
    with pytest.raises(ConfigurationError, match="is there"):
        invoke(*arguments)
    with pytest.raises(ConfigurationError, match="is whole"):
        invoke(*arguments, "--resume")
    with pytest.raises(ConfigurationError, match="needs --file"):
        invoke("export", "--app", "news", "--resume")
    progress = tmp_path / "devices.progress"
    progress.write_text('{"app": "news", "form": "csv", "plain": false}')
    with pytest.raises(ConfigurationError, match="begun with another"):
        invoke(*arguments, "--resume")
    progress.write_text('{"app": "news", "form": "jsonl", "plain": false, "size_bytes": 100000}')
    with pytest.raises(ConfigurationError, match="shorter"):
        invoke(*arguments, "--resume")
    progress.write_text("{")
    with pytest.raises(ConfigurationError, match="progress"):
        invoke(*arguments, "--resume")
