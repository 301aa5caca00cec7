from __future__ import annotations

import json

from pushcast.bench.planning import device_rows
from pushcast.wire.devices import decode_row
from pushcast.wire.schemas import AvroType, lock


def test_rows_of_the_first_release_are_the_same_devices() -> None:
    first = AvroType("device_row", json.dumps(lock()["device_row"][0]["schema"]))
    now, then = list(device_rows(range(4), 1_000)), list(device_rows(range(4), 1_000, first))
    assert all(value.startswith(first.frame) for _, _, value in then)
    assert [decode_row(value) for _, _, value in then] == [decode_row(value) for _, _, value in now]
