"""Receipts for programs that read no Avro (faults.md P3-21)."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import pytest

from pushcast.cli.receipt_files import columns, write_csv, write_jsonl, write_parquet
from pushcast.model.errors import ConfigurationError
from pushcast.wire.answers.receipts import Receipt, decode_receipt, encode_receipt


def receipt(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "delivery_id": b"0123456789abcdef",
        "notification_id": 'n,"1"',
        "user": "u1",
        "app": "news",
        "device": None,
        "platform": None,
        "lane": "urgent",
        "klass": "default",
        "outcome": "suppressed",
        "reason": "no_devices",
        "provider_id": None,
        "provider_status": None,
        "attempts": 0,
        "dry_run": False,
        "run": 0,
        "source_partition": 3,
        "source_offset": 7,
        "created_at": 1_700_000_000_000,
        "ended_at": 1_700_000_000_250,
    }
    return decode_receipt(encode_receipt(Receipt(**(values | changes))))


def test_every_field_of_the_schema_is_a_column_with_its_type() -> None:
    found = columns()
    assert set(receipt()) == set(found)
    assert (found["user"], found["provider_status"], found["source_offset"]) == ("string", "int", "long")
    assert (found["dry_run"], found["created_at"], found["due_at"]) == ("boolean", "time", "time")


def test_lines_of_json_have_times_as_text_and_null_as_null() -> None:
    file = io.BytesIO()
    assert write_jsonl([receipt(), receipt(outcome="accepted")], file) == 2
    first, second = map(json.loads, file.getvalue().splitlines())
    assert (first["created_at"], first["due_at"], first["device"]) == ("2023-11-14T22:13:20.000Z", None, None)
    assert (first["ended_at"], second["outcome"]) == ("2023-11-14T22:13:20.250Z", "accepted")


def test_csv_has_a_header_and_quotes_what_needs_it() -> None:
    file = io.BytesIO()
    assert write_csv([receipt()], file) == 1
    [row] = csv.DictReader(io.StringIO(file.getvalue().decode()))
    assert (row["notification_id"], row["device"], row["dry_run"]) == ('n,"1"', "", "False")
    assert row["created_at"] == "2023-11-14T22:13:20.000Z"
    assert write_csv([], io.BytesIO()) == 0


def test_parquet_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pushcast\[export\]"):
        write_parquet([receipt()], io.BytesIO())
