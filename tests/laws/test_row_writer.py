"""Rows written by hand are the rows that Avro writes."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.device import DeviceRow, Purpose
from pushcast.wire.devices import row_writer
from pushcast.wire.devices.devices import decode_row, encode_row
from pushcast.wire.devices.row_writer import RowWriter
from pushcast.wire.schemas import AvroType, lock

BEFORE = AvroType("device_row", json.dumps(lock()["device_row"][1]["schema"]))
text = st.text(max_size=20)
few = st.sampled_from(["news", "", "grün", "x" * 300])
optional = st.none() | few
times = st.integers(-(2**63), 2**63 - 1) | st.integers(1_800_000_000_000, 1_800_000_000_003) | st.just(0)
rows = st.builds(
    DeviceRow,
    app=few,
    device=text,
    platform=few,
    kind=few,
    address=st.binary(max_size=200) | st.just(b"a" * 9000),
    key_id=few,
    token_hash=st.binary(max_size=16),
    state=few,
    registered_at=times,
    seen_at=times,
    locale=optional,
    time_zone=optional,
    app_version=optional,
    topics=st.lists(few | text, max_size=4).map(tuple),
    suspended_at=st.none() | times,
    suspended_reason=optional,
    invalid_since=st.none() | times,
    first_at=st.none() | times,
    topics_at=st.none() | times,
    removed_at=st.none() | times,
    country=optional,
    region=optional,
    tags=st.just({}) | st.dictionaries(few, text, max_size=3),
    content_key=st.none() | st.binary(max_size=70),
    content_key_id=optional,
    zone_before=optional,
    zone_at=st.none() | times,
    token_hash_before=st.none() | st.binary(max_size=16),
    purpose=st.none() | st.sampled_from([str(purpose) for purpose in Purpose]) | few,
)


#: What REGISTER notes by itself: every new row has some of it, and would be unreadable for the release before.
NOTED = {"first_at", "topics_at", "zone_before", "zone_at"}


@settings(max_examples=400, deadline=None)
@given(st.lists(rows, min_size=1, max_size=8))
def test_a_writer_gives_the_bytes_of_the_schema_whatever_it_wrote_before(batch: list[DeviceRow]) -> None:
    writer = RowWriter()
    for row in batch:
        assert writer.encode(row) == encode_row(row)
        assert decode_row(writer.encode(row)) == row


@settings(max_examples=300, deadline=None)
@given(rows)
def test_the_first_generation_loses_nothing_that_was_said_and_is_as_the_release_before_wrote_it(row: DeviceRow) -> None:
    value = RowWriter(1).encode(row)
    known = {field["name"] for field in BEFORE.source["fields"]}
    columns = msgspec.structs.asdict(row)
    said = any(value not in (None, {}) for name, value in columns.items() if name not in known | NOTED)
    before = {name: value for name, value in columns.items() if name in known}
    assert value == (encode_row(row) if said else BEFORE.encode(before))
    assert decode_row(value) == (row if said else msgspec.structs.replace(row, **dict.fromkeys(NOTED)))


def test_what_a_writer_remembers_is_bounded() -> None:
    writer = RowWriter()
    base = DeviceRow("news", "d", "apns", "token", b"a", "", b"h" * 16, "active", 1, 1)
    for number in range(3 * row_writer._MAX_CACHED):
        row = DeviceRow(
            f"app-{number}", "d", "apns", "token", b"a", "", b"h" * 16, "active", number, number, f"l-{number}", None,
            None, (f"t-{number}",), first_at=number,
        )  # fmt: skip
        assert writer.encode(row) == encode_row(row)
    assert writer.encode(base) == encode_row(base)
    caches = (writer._words, writer._kinds, writer._texts, writer._times, writer._said)
    assert all(0 < len(cache) <= row_writer._MAX_CACHED for cache in caches)
