"""How many rows are under a key: what cannot be read must not make a key look unused."""

from __future__ import annotations

import pytest

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.settle.keyring_use import _key_id
from pushcast.wire.devices import encode_row

ROW = DeviceRow("news", "d", "apns", "token", b"address", "t1", bytes(16), "active", 1, 1)


def test_a_row_is_under_its_key_and_one_without_an_address_or_a_meaning_is_under_none() -> None:
    assert _key_id(encode_row(ROW)) == "t1"
    gone = DeviceRow("news", "d", "apns", "token", b"", "t1", bytes(16), "gone", 1, 1)
    assert (_key_id(encode_row(gone)), _key_id(b"junk")) == (None, None)


def test_a_row_of_a_later_release_is_refused_because_its_processes_may_need_the_key() -> None:
    with pytest.raises(InvalidInput, match="not in this release"):
        _key_id(b"\xc3\x01tomorrow")
