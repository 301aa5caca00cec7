"""Exports in a folder of this machine and behind a URL: the same files with the same bytes."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pushcast.audit.export import export, mark_whole, whole_days
from pushcast.audit.export_places import ExportPlace, LocalPlace, RemotePlace, absolute, place_of
from pushcast.audit.export_sql import asked, files_of
from pushcast.cli.receipt_files import WRITERS, columns
from pushcast.model.errors import ConfigurationError
from unit.audit.test_export import DAY, NEXT, topic

URL = "memory://bucket/receipts"


@pytest.fixture
def bucket() -> Iterator[Any]:
    """What lies behind the URL, in memory: as a bucket has it, without folders of its own."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


@pytest.fixture(params=["folder", "file://", URL])
def place(request: pytest.FixtureRequest, tmp_path: Path, bucket: Any) -> ExportPlace:
    """Each kind of place, empty."""
    return place_of({"folder": str(tmp_path), "file://": f"file://{tmp_path}"}.get(request.param, request.param))


def test_a_file_is_there_when_it_is_whole_and_not_before(place: ExportPlace) -> None:
    def broken() -> None:
        with place.writing("a/b.txt") as file:
            file.write(b"half")
            raise ConnectionError("Kafka is away")

    with pytest.raises(ConnectionError):
        broken()
    assert (place.has("a/b.txt"), place.read("a/b.txt")) == (False, None)
    with place.writing("a/b.txt") as file:
        file.write(b"whole")
        assert not place.has("a/b.txt")
    with pytest.raises(ConnectionError):
        broken()
    assert place.read("a/b.txt") == b"whole"
    with place.reading("a/b.txt") as read:
        assert read.read() == b"whole"


def test_names_are_found_by_their_pattern_in_their_order(place: ExportPlace) -> None:
    for name in ("d=2/p=1/x-2", "d=1/p=0/x-9", "d=1/p=0/y-1", "d=1/x-1", "other", "d=1/p=0/q/x-1"):
        with place.writing(name):
            pass
    assert place.named("d=*/p=*/x-*") == ["d=1/p=0/x-9", "d=2/p=1/x-2"]
    assert place.named("nothing/*") == []


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_r11_a_url_gets_the_bytes_that_a_folder_gets_and_is_asked_in_sql(
    form: str, tmp_path: Path, bucket: Any
) -> None:
    folder, remote = LocalPlace(tmp_path), place_of(URL)
    for place in (folder, remote, remote):  # and once more
        for day in (DAY, NEXT):
            export(topic(), range(3), day, place, WRITERS[form], form)
            mark_whole(place, day)
    local = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        path.removeprefix("/bucket/receipts/"): bytes(file.getbuffer()) for path, file in bucket.store.items()
    } == local
    assert whole_days(remote, [DAY, NEXT]) == {DAY, NEXT}
    query = "SELECT count(*) AS n, min(created_at) AS first FROM receipts"
    answers = []
    for each in (folder, remote):
        with asked(each, files_of(each), columns(), query) as (names, rows):
            answers.append((names, list(rows)))
    assert answers[0] == answers[1] == (["n", "first"], [(14, "2026-09-21T14:13:20.000Z")])


def test_a_url_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="s3fs"):
        place_of("s3://bucket/receipts")
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        place_of("weather://bucket/receipts")
    imports = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("fsspec"):
            raise ImportError(name)
        return imports(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "fsspec.core", raising=False)
    with pytest.raises(ConfigurationError, match=r"pushcast\[export\]"):
        place_of(URL)


def test_a_path_is_made_absolute_and_a_url_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("export") == str(tmp_path / "export")
    assert absolute(URL) == URL
    assert isinstance(place_of(URL), RemotePlace)
    assert place_of(URL).shown("a/b") == f"{URL}/a/b"
