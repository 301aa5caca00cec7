"""A store of reports with a damaged block: it is not read short, and the next process makes it anew."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pushcast.report.store import PartitionStore


def filled(path: Path) -> None:
    store = PartitionStore(path, {})
    for number in range(2_000):
        store._database.put(b"x%05d" % number, b"%d" % (number * 7_919 % 10_007) * 30)
    store._database.flush()
    store.close()


def damage(path: Path, share: float = 0.5) -> None:
    file = max(path.glob("*.sst"), key=lambda each: each.stat().st_size)
    data = bytearray(file.read_bytes())
    at = int(len(data) * share)
    data[at : at + 20] = bytes(byte ^ 0xFF for byte in data[at : at + 20])
    file.write_bytes(data)


def test_what_lies_behind_a_damaged_block_is_not_taken_for_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store"
    filled(path)
    damage(path)
    store = PartitionStore(path, {})
    with pytest.raises(Exception, match="Corruption"):
        list(store.scan(b"x", b"x"))
    store.close()
    with caplog.at_level(logging.WARNING):
        anew = PartitionStore(path, {})
    assert "made anew" in caplog.text
    assert list(anew.scan(b"x", b"x")) == []
    anew.close()


@pytest.mark.parametrize("many", [False, True])
def test_a_row_that_cannot_be_read_condemns_the_store(tmp_path: Path, many: bool) -> None:
    path = tmp_path / "store"
    filled(path)
    damage(path)
    keys = [b"x%05d" % number for number in range(2_000)]
    store = PartitionStore(path, {})
    with pytest.raises(Exception, match="Corruption"):
        store.get_many(keys) if many else [store.get(key) for key in keys]
    store.close()
    anew = PartitionStore(path, {})
    assert anew.get(keys[0]) is None
    anew.close()


def test_a_store_that_cannot_be_opened_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path)
    for manifest in path.glob("MANIFEST-*"):
        manifest.write_bytes(manifest.read_bytes()[:10])
    anew = PartitionStore(path, {})
    assert anew.get(b"x00001") is None
    anew.close()


def test_a_store_that_is_open_elsewhere_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path)
    held = PartitionStore(path, {})
    with pytest.raises(Exception, match="lock"):
        PartitionStore(path, {})
    assert held.get(b"x00001") is not None
    held.close()
