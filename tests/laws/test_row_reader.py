"""What PLAN reads of a row is what Avro reads of it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.batch import KIND_NUMBERS
from pushcast.model.device import DeviceRow, Purpose
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key
from pushcast.wire.avro_bytes import bytes_of, long_of, optional_of
from pushcast.wire.devices import row_reader
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.row_reader import active_device, is_marker
from pushcast.wire.devices.row_tail import first_at_ms, followed_and_first_at, locale_of, registered_at_ms, time_zone_of
from pushcast.wire.schemas import AvroType, lock

PURPOSES = {None, *map(str, Purpose)}
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
longs = st.integers(-(2**63), 2**63 - 1) | st.integers(1_800_000_000_000, 1_800_000_000_003)
rows = st.builds(
    DeviceRow,
    app=text | st.just("a" * 64) | st.just("b" * 300),
    # The keys of users have an empty one, and no id has a NUL.
    device=text.map(lambda each: each.replace("\0", "")).filter(bool) | st.just("d" * 256),
    platform=st.sampled_from(["apns", "fcm", "expo", "webpush", "wns"]),
    kind=st.sampled_from([*KIND_NUMBERS, "smoke"]),
    address=st.binary(max_size=200) | st.just(b"a" * 4096) | st.just(b"a" * 9000),
    key_id=text,
    token_hash=st.binary(max_size=16),
    state=st.sampled_from(["active", "active", "active", "suspended", "gone", ""]),
    registered_at=longs,
    seen_at=longs,
    locale=st.none() | text,
    topics=st.lists(text, max_size=3).map(tuple),
    time_zone=st.none() | text | st.just("z" * 200),
    app_version=st.none() | text | st.just("7.1.0") | st.just("v" * 200),
    suspended_at=st.none() | longs,
    first_at=st.none() | longs,
    country=st.none() | text,
    tags=st.dictionaries(text, text, max_size=2),
    token_hash_before=st.none() | st.binary(max_size=16),
    purpose=st.none() | st.sampled_from([*map(str, Purpose), "hologram", "xvoip"]),
)
RELEASES = [AvroType("device_row", json.dumps(version["schema"])) for version in lock()["device_row"]]


@settings(max_examples=500, deadline=None)
@given(rows)
def test_what_is_told_to_be_a_marker_is_one_and_short_ids_are_told(row: DeviceRow) -> None:
    newest = encode_row(row)
    told = is_marker(newest)
    assert not told or row.state == "gone"
    short = all(len(each.encode()) < 64 for each in (row.app, row.device, row.key_id)) and len(row.address) < 64
    assert told or not short or row.state != "gone"
    assert not is_marker(newest[:9])


@settings(max_examples=500, deadline=None)
@given(rows)
def test_an_active_row_of_a_known_platform_and_kind_is_a_device_and_no_other(row: DeviceRow) -> None:
    key = device_row_key("user", row.app, row.device)
    device = active_device(key, encode_row(row))
    if row.state != "active" or row.platform == "wns" or row.kind == "smoke" or row.purpose not in PURPOSES:
        assert device is None
        return
    assert device is not None
    assert (device.app, device.platform, device.key) == (row.app, row.platform, key)
    assert device.app_version == optional_of(row.app_version)
    assert device.device == bytes_of(row.device.encode())
    assert device.kind == long_of(KIND_NUMBERS[row.kind])
    assert device.address == bytes_of(row.address)
    assert device.key_id == bytes_of(row.key_id.encode())
    assert device.token_hash == bytes_of(row.token_hash)
    assert device.registered_at == long_of(row.registered_at)
    assert registered_at_ms(device) == row.registered_at
    taken = (device.device, device.kind, device.address, device.key_id, device.token_hash, device.registered_at)
    assert sum(map(len, taken)) <= device.size
    assert device.purpose == row.purpose
    assert locale_of(device) == row.locale
    assert time_zone_of(device) == row.time_zone
    assert first_at_ms(device) == row.first_at
    assert followed_and_first_at(device) == ([topic.encode() for topic in row.topics], row.first_at)


@settings(max_examples=300, deadline=None)
@given(rows, st.sampled_from(RELEASES))
def test_a_row_of_an_earlier_release_is_the_device_that_it_was(row: DeviceRow, release: AvroType) -> None:
    known = {field["name"] for field in release.source["fields"]}
    columns = {name: value for name, value in msgspec.structs.asdict(row).items() if name in known}
    now = msgspec.structs.replace(row, purpose=row.purpose if "purpose" in known else None)
    key = device_row_key("user", row.app, row.device)
    old, new = active_device(key, release.encode(columns)), active_device(key, encode_row(now))
    if old is None or new is None:
        assert old is new
        return
    assert old._replace(row=b"") == new._replace(row=b"")
    assert locale_of(old) == locale_of(new) == row.locale
    assert time_zone_of(old) == time_zone_of(new) == row.time_zone


def test_rows_of_every_release_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_reader, "row_columns", None)  # Avro is not asked
    row = DeviceRow("news", "d", "apns", "token", b"ab12", "", b"h" * 16, "active", 1, 1, "de-DE")
    for release in RELEASES:
        known = {field["name"] for field in release.source["fields"]}
        columns = {name: value for name, value in msgspec.structs.asdict(row).items() if name in known}
        device = active_device(b"u\0news\0d", release.encode(columns))
        assert device is not None
        assert locale_of(device) == "de-DE"


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
