"""F5: a fence of the devices topic is Avro under a UTF-8 key, is taken for no row, and is read by both releases."""

from __future__ import annotations

import pytest

from pushcast.model.ids import device_row_key, device_row_prefix
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.row_fences import KEY, OLD_KEY, epoch_of, is_row, records
from pushcast.wire.schemas import avro_type

OURS = "register/3"


def test_f5_a_fence_has_a_utf8_key_and_an_avro_value_of_its_own_schema() -> None:
    written = records(OURS, 1_800_000_000)
    assert KEY.decode().startswith("\0")
    assert avro_type("fence").decode(written[KEY]) == {"origin": OURS, "epoch": 1_800_000_000}


def test_the_release_before_reads_the_fence_that_is_written_beside_it() -> None:
    assert int(records(OURS, 17)[OLD_KEY]) == 17


@pytest.mark.parametrize("key", sorted(row_fences.KEYS))
def test_what_is_written_is_read(key: bytes) -> None:
    assert epoch_of(key, records(OURS, 17)[key], OURS) == 17


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key in (KEY, OLD_KEY) for value in (None, b"", b"nine", b"-1", b"\xc3\x01")),
        (KEY, b"17"),
        (KEY, records("register/4", 17)[KEY]),
    ],
)
def test_what_fences_nobody_or_somebody_else_has_no_epoch(key: bytes, value: bytes | None) -> None:
    assert epoch_of(key, value, OURS) is None


@pytest.mark.parametrize("user", ["u", "\x01", "\U0010ffff", "ÿ"])
def test_every_key_of_a_device_is_a_rows_and_no_fences(user: str) -> None:
    assert is_row(device_row_key(user, "news", "d"))
    assert not any(key.startswith(device_row_prefix(user)) for key in row_fences.KEYS)
    assert not any(map(is_row, row_fences.KEYS))
