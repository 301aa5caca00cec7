"""What PLAN reads of a row is what Avro reads of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.batch import KIND_NUMBERS
from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key
from pushcast.wire.avro_bytes import bytes_of, long_of
from pushcast.wire.devices import encode_row
from pushcast.wire.row_reader import active_device, registered_at_ms

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
longs = st.integers(-(2**63), 2**63 - 1) | st.integers(1_800_000_000_000, 1_800_000_000_003)
rows = st.builds(
    DeviceRow,
    app=text | st.just("a" * 64) | st.just("b" * 300),
    device=text | st.just("d" * 256),
    platform=st.sampled_from(["apns", "fcm", "expo", "webpush", "wns"]),
    kind=st.sampled_from([*KIND_NUMBERS, "smoke"]),
    address=st.binary(max_size=200) | st.just(b"a" * 4096) | st.just(b"a" * 9000),
    key_id=text,
    token_hash=st.binary(max_size=16),
    state=st.sampled_from(["active", "active", "active", "suspended", ""]),
    registered_at=longs,
    seen_at=longs,
    locale=st.none() | text,
    topics=st.lists(text, max_size=3).map(tuple),
    suspended_at=st.none() | longs,
)


@settings(max_examples=500, deadline=None)
@given(rows)
def test_an_active_row_of_a_known_platform_and_kind_is_a_device_and_no_other(row: DeviceRow) -> None:
    key = device_row_key("user", row.app, row.device)
    device = active_device(key, encode_row(row))
    if row.state != "active" or row.platform == "wns" or row.kind == "smoke":
        assert device is None
        return
    assert device is not None
    assert (device.app, device.platform, device.key) == (row.app, row.platform, key)
    assert device.device == bytes_of(row.device.encode())
    assert device.kind == long_of(KIND_NUMBERS[row.kind])
    assert device.address == bytes_of(row.address)
    assert device.key_id == bytes_of(row.key_id.encode())
    assert device.token_hash == bytes_of(row.token_hash)
    assert device.registered_at == long_of(row.registered_at)
    assert registered_at_ms(device) == row.registered_at
    taken = (device.device, device.kind, device.address, device.key_id, device.token_hash, device.registered_at)
    assert sum(map(len, taken)) <= device.size


@settings(max_examples=300, deadline=None)
@given(rows, st.data())
def test_a_row_that_was_cut_or_changed_is_read_or_refused_and_nothing_else(row: DeviceRow, data: st.DataObject) -> None:
    value = bytearray(encode_row(row))
    at = data.draw(st.integers(0, len(value) - 1))
    if data.draw(st.booleans()):
        del value[at:]
    else:
        value[at] = data.draw(st.integers(0, 255))
    reason = ""
    try:
        active_device(b"key", bytes(value))
    except InvalidInput as error:
        reason = error.reason
    assert reason in {"", "undecodable", "unknown_frame", "unknown_schema"}
