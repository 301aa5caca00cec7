"""Schemas are released, documented, readable by every reader, and have golden examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushcast.resources import data_dir
from pushcast.wire.release import incompatibilities, problems, release
from pushcast.wire.schemas import NAMES, avro_type, lock, released

EXAMPLES = Path(str(data_dir("schemas"))) / "examples"


def test_every_schema_is_what_the_lock_froze_and_reads_every_release() -> None:
    assert problems(lock()) == []


def test_the_lock_notices_a_changed_schema() -> None:
    changed = json.loads(json.dumps(lock()))
    changed["receipt"][-1]["fingerprint"] = "00" * 8
    assert any("receipt" in problem for problem in problems(changed))


def test_a_removed_default_is_incompatible() -> None:
    writer = {"type": "record", "name": "R", "fields": []}
    reader = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}
    assert incompatibilities(reader, writer)
    assert not incompatibilities(writer, reader)


def test_releasing_twice_adds_nothing(tmp_path: Path) -> None:
    assert release(tmp_path, ["receipt"]) == ["receipt"]
    assert release(tmp_path, ["receipt"]) == []


def fields(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        for branch in schema:
            yield from fields(branch, path)
    elif isinstance(schema, dict):
        for field in schema.get("fields", []):
            yield f"{path}.{field['name']}", field
            yield from fields(field["type"], f"{path}.{field['name']}")
        for inner in ("items", "values"):
            if inner in schema:
                yield from fields(schema[inner], path)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_documented_and_times_say_their_unit(name: str) -> None:
    for path, field in fields(avro_type(name).source, name):
        assert field.get("doc", "").endswith("."), path
        if "timestamp-millis" in json.dumps(field["type"]):
            assert "epoch" in field["doc"], path


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_example_decodes_and_encodes_to_its_very_bytes(name: str) -> None:
    golden = bytes.fromhex((EXAMPLES / f"{name}.hex").read_text())
    datum = json.loads((EXAMPLES / f"{name}.json").read_text(), object_hook=_bytes)
    assert avro_type(name).decode(golden) == datum
    assert avro_type(name).encode(datum) == golden


def test_no_example_and_no_schema_file_is_orphaned() -> None:
    folder = Path(str(data_dir("schemas")))
    assert {path.stem for path in folder.glob("*.avsc")} == set(NAMES)
    assert {path.name for path in EXAMPLES.iterdir()} == {f"{name}.{end}" for name in NAMES for end in ("hex", "json")}


def test_every_frozen_fingerprint_is_readable() -> None:
    assert len(released()) >= len(NAMES)


def _bytes(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else value
