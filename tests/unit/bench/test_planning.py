from __future__ import annotations

import json

from pushcast.bench.planning import device_rows
from pushcast.model.words import Platform
from pushcast.simulators.apns import prefixes as apns_prefixes
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.schemas import AvroType, lock


def test_rows_of_the_first_release_are_the_same_devices() -> None:
    first = AvroType("device_row", json.dumps(lock()["device_row"][0]["schema"]))
    now, then = list(device_rows(range(4), 1_000)), list(device_rows(range(4), 1_000, first))
    assert all(value.startswith(first.frame) for _, _, value in then)
    assert [decode_row(value) for _, _, value in then] == [decode_row(value) for _, _, value in now]


def test_no_simulator_has_a_verdict_about_a_token_of_the_load() -> None:
    """Tokens are random behind their first digit, so of a million some begin with whatever there is behind it."""
    assert not any(head.startswith(b"1") for head in apns_prefixes._HEADS)
    for _, _, value in device_rows(range(200), 1_000):
        row = decode_row(value)
        if row.platform == Platform.APNS:
            assert row.address.startswith(b"1")
            assert len(row.address) == 64
        else:
            assert b":" not in row.address[:16], "where FCM's simulator looks for its words"
