"""`pushcast device import` of broken files: each fault is told with its line, and none ends with a traceback."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from pushcast.cli.device import app
from pushcast.cli.device_files import From
from pushcast.model.errors import ConfigurationError
from unit.cli.test_device_files import TOKEN, invoke, there
from unit.cli.test_device_files import written as written
from unit.wire.migrate.test_files import GOLDEN

FORMATS = [*From, "map"]
AT = "2026-11-21T09:00:00Z"
OURS = {"user": "u-1", "op": "register", "app": "news", "device": "d", "platform": "apns", "token": TOKEN}


def good(source: str) -> bytes:
    """A file of which something is taken."""
    if source == From.pushcast:
        return orjson.dumps(OURS) + b"\n"
    if source == From.csv:
        return ",".join(OURS).encode() + b"\n" + ",".join(OURS.values()).encode() + b"\n"
    if source == "map":
        return f"who,phone,token\nu-1,p-1,{TOKEN}\n".encode()
    content = next(GOLDEN.glob(f"{source}.*")).read_bytes()
    return orjson.dumps(orjson.loads(content)) + b"\n" if source == From.sns else content


def ended(source: str, content: bytes, folder: Path) -> tuple[int, str]:
    """Exit code, and what was said; any exception of ours as its text."""
    file, names = folder / "file", folder / "map.json"
    file.write_bytes(content)
    columns = {"user": "who", "device": "phone", "token": "token"}
    names.write_bytes(orjson.dumps({"columns": columns, "constants": {"platform": "apns"}}))
    arguments = ["import", str(file), "--from", "csv" if source == "map" else source]
    if source not in (From.pushcast, From.csv):
        arguments += ["--app", "news", "--at", AT]
    if source == "map":
        arguments += ["--map", str(names)]
    found = CliRunner().invoke(app, arguments)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        assert isinstance(found.exception, ConfigurationError), repr(found.exception)
        return 2, str(found.exception)
    return found.exit_code, found.stderr


BAD = {
    "no UTF-8": b'"\xff",\xfe\xff{\xff<\xff>\n',
    "Latin-1": '{"user": "Müller"},<a>ü</a>\n'.encode("latin-1"),
    "UTF-16": '{"user": "u"},b\n'.encode("utf-16"),
    "NUL bytes": b"\0" * 100 + b"\n",
    "ten megabytes": b"x" * 10_000_000 + b"\n",
    "ten megabytes of a text": b'{"user": "' + b"x" * 10_000_000 + b'"}\n',
    "an open quote": b'a,"b\n',
    "an open bracket": b'{"user": ["a"\n',
    "surplus cells": b"a" + b",b" * 100 + b"\n",
    "numbers": b'{"user": 1, "device": 2, "app": [3], "at": {}, "tk": 5, "Attributes": [], "EndpointArn": 7}\n',
    "deep": b"[" * 100_000 + b"\n",
    "deep in its middle": b'{"user": "u", "device": ' + b"[" * 300 + b"]" * 300 + b"}\n",
    "deep XML": b"<a>" * 10_000 + b"\n",
    "half of a surrogate pair": b'{"user": "\\ud800", "device": "d"}\n',
    "a lone carriage return": b'a\rb,"c\r\n',
    "white space": b" \t \r\n",
}


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("place", ["alone", "behind"])
@pytest.mark.parametrize("source", FORMATS)
def test_a_broken_file_is_told_and_never_a_traceback(
    source: str,
    place: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: list[tuple[str, bytes, bytes]],
) -> None:
    there(monkeypatch)
    code, said = ended(source, (b"" if place == "alone" else good(source)) + BAD[fault], tmp_path)
    assert code in (0, 1, 2)
    assert fault == "white space" or "line" in said or "map" in said
    assert place == "alone" or written, "what stands before it is taken"


def test_a_line_that_is_nested_too_deep_is_refused_where_devices_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    file, deep = tmp_path / "file", b'{"user": "u", "op": "register", "tags": ' + b"[" * 300 + b"]" * 300 + b"}\n"
    file.write_bytes(deep + orjson.dumps(OURS) + b"\n")
    found = CliRunner().invoke(app, ["import", str(file), "--held"], catch_exceptions=False)
    assert (found.exit_code, len(written)) == (1, 1)
    assert "line 1: invalid_field: objects are nested more than 64 deep" in found.stderr


@pytest.mark.parametrize("source", FORMATS)
def test_a_byte_that_is_no_utf8_is_told_with_its_line(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    content = good(source)
    code, said = ended(source, content + b"\xff\n", tmp_path)
    assert code == 1
    line = content.count(b"\n") + 1
    assert f"line {line}: " in said, said
    assert "UTF-8" in said


@pytest.mark.parametrize("source", FORMATS)
def test_a_byte_order_mark_is_no_fault(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    code, said = ended(source, b"\xef\xbb\xbf" + good(source), tmp_path)
    assert (code, bool(written)) == (0, True), said


@pytest.mark.parametrize("source", FORMATS)
def test_an_empty_file_has_no_devices(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    code, _ = ended(source, b"", tmp_path)
    assert (code, written) == (2 if source == "map" else 0, [])


@pytest.mark.parametrize("source", [From.csv, From.onesignal, "map"])
def test_surplus_cells_cost_their_row_alone(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    header, row, *_ = good(source).split(b"\n")
    [columns] = csv.reader(io.StringIO(header.decode()))
    code, said = ended(source, b"\n".join((header, row + b",surplus", row)) + b"\n", tmp_path)
    assert (code, len(written)) == (1, 1)
    assert f"line 2: invalid_field: the row has {len(columns) + 1} cells and the header {len(columns)}" in said


@pytest.mark.parametrize("source", [From.pushcast, From.sns])
def test_a_file_that_is_not_there_is_named(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    for path, problem in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=f"{path.name}: {problem}"):
            invoke("import", str(path), "--from", source, *(() if source == From.pushcast else ("--app", "news")))


def test_what_is_left_out_is_told_with_the_first_line_of_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, bytes, bytes]]
) -> None:
    there(monkeypatch)
    _, said = ended(From.countly, b'{"_id": "1", "tk": {"ap": "t"}}\n{broken\n{broken\n', tmp_path)
    assert "skipped: 2 unreadable, the first in line 2" in said
