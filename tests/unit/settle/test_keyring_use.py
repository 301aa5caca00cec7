"""How many rows are under a key: what cannot be read must not make a key look unused."""

from __future__ import annotations

import msgspec
import pytest

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.sealing import Cipher
from pushcast.settle.keyring_use import _key_ids
from pushcast.wire.devices.content_keys import KeptKey, pack
from pushcast.wire.devices.devices import encode_row

ROW = DeviceRow("news", "d", "apns", "token", b"address", "t1", bytes(16), "active", 1, 1)


def test_a_row_is_under_its_key_and_one_without_an_address_or_a_meaning_is_under_none() -> None:
    assert _key_ids(encode_row(ROW)) == ("t1",)
    gone = DeviceRow("news", "d", "apns", "token", b"", "t1", bytes(16), "gone", 1, 1)
    assert (_key_ids(encode_row(gone)), _key_ids(b"junk")) == ((), ())


def test_a_row_whose_content_key_is_under_another_key_needs_both() -> None:
    other = pack(KeptKey(7, Cipher.SECRETBOX, "t2", b"sealed"))
    assert _key_ids(encode_row(msgspec.structs.replace(ROW, content_key=other))) == ("t1", "t2")


def test_a_row_of_a_later_release_is_refused_because_its_processes_may_need_the_key() -> None:
    with pytest.raises(InvalidInput, match="not in this release"):
        _key_ids(b"\xc3\x01tomorrow")
