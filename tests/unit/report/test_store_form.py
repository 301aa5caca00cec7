"""A store whose rows another release wrote in another form is made anew, with a line that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.report import store as stores
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from twins.books import entries, receipt

LOGS = {topics.RECEIPT: "cluster/topic"}


def filled(path: Path) -> None:
    store = PartitionStore(path, LOGS)
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    store.close()


def test_rows_of_another_form_are_read_again_from_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path / "0")
    monkeypatch.setattr(stores, "_FORM", "99")
    store = PartitionStore(tmp_path / "0", LOGS)
    assert list(store.rows()) == []
    assert store.meta(topics.RECEIPT).offset == 0
    assert "another form" in caplog.text
    store.close()


def test_rows_of_this_form_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "0")
    store = PartitionStore(tmp_path / "0", LOGS)
    assert store.meta(topics.RECEIPT).offset == 1
    assert caplog.text == ""
    store.close()


def test_rows_of_the_first_form_which_did_not_say_so_are_read_again(tmp_path: Path) -> None:
    filled(tmp_path / "0")
    store = PartitionStore(tmp_path / "0", LOGS)
    store._database.put(stores._LOGS, f"{topics.RECEIPT} cluster/topic".encode())
    store.close()
    store = PartitionStore(tmp_path / "0", LOGS)
    assert list(store.rows()) == []
    store.close()
