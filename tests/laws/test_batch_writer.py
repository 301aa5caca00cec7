"""Batches and planned records put together from encoded parts are the records that Avro writes."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.batch import KINDS, Message, Notes, ReceiptLabel, SendBatch, Targets
from pushcast.model.device import DeviceRow
from pushcast.model.ids import delivery_id, device_row_key, token_hash
from pushcast.model.notification import (
    Action,
    Content,
    LiveActivity,
    LocalText,
    Notification,
    OfBroadcast,
    Options,
    Sound,
)
from pushcast.model.sealing import Sealing
from pushcast.wire.answers.planned_writer import PlannedRow, planned_facts, planned_of
from pushcast.wire.answers.receipts import PLATFORMS, Planned, PlannedFacts, decode_planned, encode_planned
from pushcast.wire.avro_bytes import bytes_of, long_at, long_of
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.row_reader import active_device
from pushcast.wire.events.more import more_of
from pushcast.wire.sending.batch_writer import MessageWriter, batch_of
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.message_head import message_head

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.just("x" * 9000)
optional = st.none() | texts
longs = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20_000) | st.integers(1_800_000_000_000, 1_800_000_100_000)
contents = st.builds(
    Content,
    optional,
    optional,
    st.dictionaries(names, texts | st.integers(0, 9) | st.just([{"x": None}]), max_size=3),
    st.dictionaries(names, st.builds(LocalText, optional, optional), max_size=2),
    st.none() | texts,
    link=st.none() | texts,
    actions=st.just(()) | st.just((Action("open", "Open"),)),
)
activities = st.builds(
    LiveActivity,
    event=st.sampled_from(["start", "update", "end"]),
    content_state=optional,
    timestamp=st.none() | st.integers(0, 2**60),
    stale_at=st.none() | st.integers(0, 2**60),
    dismissal_at=st.none() | st.integers(0, 2**60),
    relevance_score=st.none() | st.floats(allow_nan=False),
    attributes_type=optional,
    attributes=optional,
    input_push_token=st.booleans(),
    input_push_channel=optional,
)
options = st.just(Options()) | st.builds(
    Options,
    collapse_id=optional,
    thread_id=optional,
    sound=optional | st.just(Sound("bell", True, 0.5)),
    badge=st.none() | st.integers(-(2**31), 2**31 - 1),
    priority=st.sampled_from(["high", "normal"]),
    push_type=st.sampled_from(["alert", "background"]),
    dry_run=st.booleans(),
    at_most_once=st.booleans(),
    live_activity=st.none() | activities,
    channel_id=optional,
)
rows = st.builds(
    DeviceRow,
    app=st.sampled_from(["news", "grün", "n" * 63]),
    device=names,
    platform=st.sampled_from(PLATFORMS),
    kind=st.sampled_from([str(kind) for kind in KINDS]),
    address=st.binary(max_size=200) | st.just(b"a" * 9000),
    key_id=names | st.just(""),
    token_hash=st.just(token_hash(b"")),
    state=st.just("active"),
    registered_at=longs,
    seen_at=longs,
    app_version=st.none() | st.just("7.1.0") | names,
    content_key=st.none() | st.binary(max_size=80),
)
notes = st.tuples(names, longs, st.sampled_from(["", "00-ab-cd-01"]))
targets = st.tuples(names, rows, notes, st.integers(0, 2**62), longs)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["urgent", "bulk"]),
    st.sampled_from(PLATFORMS),
    st.lists(
        st.tuples(names, names, contents, options, st.booleans(), st.lists(targets, min_size=1, max_size=4)),
        min_size=0,
        max_size=3,
    ),
    st.sampled_from([1, 2]),
)
def test_a_batch_from_encoded_parts_has_the_bytes_of_the_schema(
    lane: str,
    platform: str,
    drawn: list[tuple[str, str, Content, Options, bool, list[tuple[str, DeviceRow, tuple[str, int, str], int, int]]]],
    generation: int,
) -> None:
    messages, writers = [], []
    for app, klass, content, option, keyed, asked in drawn:
        sealing = Sealing("New message") if keyed else None
        content_hash = blake2b(repr(content).encode(), digest_size=16).digest()
        more = more_of(content, option, None, sealing)
        writer = MessageWriter(message_head(app, klass, content, option, content_hash, more=more), more, keyed=keyed)
        plain = Message(app, klass, content, option, content_hash, [], [], [], Targets(), sealing=sealing)
        keys: list[bytes | None] = []
        versions: list[str | None] = []
        for user, row, (note_id, created_at, trace), offset, expires_at in asked:
            if (plain.notification_ids[-1:], plain.created_at[-1:], plain.traces[-1:]) != (
                [note_id],
                [created_at],
                [trace],
            ):
                plain.notification_ids.append(note_id)
                plain.created_at.append(created_at)
                plain.traces.append(trace)
            delivery = delivery_id(note_id, user, row.app, row.device)
            values = (
                len(plain.notification_ids) - 1,
                user,
                row.device,
                delivery,
                [str(kind) for kind in KINDS].index(row.kind),
                row.address,
                row.key_id,
                row.token_hash,
                row.registered_at,
                offset,
                expires_at,
                0,
            )
            for column, value in zip(plain.targets.columns(), values, strict=True):
                column.append(value)
            versions.append(row.app_version)
            keys.append(row.content_key)
            device = active_device(device_row_key(user, row.app, row.device), encode_row(row))
            assert device is not None
            index = writer.index_of(bytes_of(note_id.encode()), created_at, trace)
            writer.add(index, bytes_of(user.encode()), device, delivery, long_of(offset), long_of(expires_at))
        plain.targets.app_version = versions if generation == 2 and any(map(_is_known, versions)) else None
        plain.targets.content_key = keys if keyed and any(key is not None for key in keys) else None
        messages.append(plain)
        writers.append(writer)
    written = batch_of(lane, platform, writers, generation=generation)
    assert written == encode_batch(SendBatch(lane, platform, messages))


labels = st.builds(lambda *label: ReceiptLabel(*label), st.none() | longs, optional, optional, optional)


@given(contents, st.lists(labels, min_size=1, max_size=4))
def test_what_notifications_say_of_themselves_has_the_bytes_of_the_schema(
    content: Content, labels: list[ReceiptLabel]
) -> None:
    content_hash, option = bytes(16), Options()
    more = more_of(content, option)
    writer = MessageWriter(message_head("news", "c", content, option, content_hash, more=more), more)
    row = DeviceRow("news", "d", "fcm", "token", b"a", "", token_hash(b"a"), "active", 1, 1)
    device = active_device(device_row_key("u", "news", "d"), encode_row(row))
    assert device is not None
    ids = [f"n{number}" for number in range(len(labels))]
    for number, label in enumerate(labels):
        index = writer.index_of(bytes_of(ids[number].encode()), 7, "", label)
        writer.add(index, bytes_of(b"u"), device, bytes(16), long_of(number), long_of(9))
    count = len(labels)
    targets = Targets()
    for number in range(count):
        values = (number, "u", "d", bytes(16), 0, b"a", "", token_hash(b"a"), 1, number, 9, 0)
        for column, value in zip(targets.columns(), values, strict=True):
            column.append(value)
    said: dict[str, Any] = {name: [getattr(label, name) for label in labels] for name in ReceiptLabel._fields}
    said = {name: None if set(values) == {None} else values for name, values in said.items()}
    columns_of_notes = ids, [7] * count, [""] * count
    message = Message("news", "c", content, option, content_hash, *columns_of_notes, targets, Notes(**said))
    assert batch_of("bulk", "fcm", [writer]) == encode_batch(SendBatch("bulk", "fcm", [message]))


def _is_known(version: str | None) -> bool:
    return version is not None


planned_rows = st.tuples(
    st.integers(0, 2**62),
    st.builds(
        Notification,
        names,
        names,
        st.none() | names,
        names,
        st.just(Content("Goal!")),
        st.sampled_from([Options(), Options(dry_run=True)]),
        st.just(b""),
        longs,
        longs,
        broadcast=st.sampled_from([None, None, OfBroadcast("a", frozenset(), "7:a")]),
    ),
    st.tuples(*[st.sampled_from([0, 0, 1, 3, 200, 100_000])] * len(PLATFORMS)),
    st.integers(0, 1),
    st.sampled_from(["", "expired", "no_devices"]),
)


def facts_of(note: Notification) -> PlannedFacts:
    times = note.created_at, note.created_at, note.expires_at
    broadcast = note.broadcast is not None
    return PlannedFacts(note.app or "", note.klass, *times, note.options.dry_run, broadcast=broadcast)


@settings(max_examples=150, deadline=None)
@given(st.lists(planned_rows, min_size=1, max_size=20), longs, st.sampled_from([1, 2]), st.sampled_from([0, 2]))
def test_a_planned_record_from_encoded_parts_has_the_bytes_of_the_schema(
    rows: list[tuple[int, Notification, tuple[int, ...], int, str]], at: int, generation: int, source: int
) -> None:
    plain = Planned("bulk", source=source)
    encoded = []
    for offset, note, counts, other, reason in rows:
        plain.add(offset, note.id, dict(zip(PLATFORMS, counts, strict=True)), other, reason, facts_of(note))
        row = PlannedRow(long_of(offset), bytes_of(note.id.encode()), counts, other, reason, planned_facts(note))
        encoded.append(row)
    written = planned_of("bulk", encoded, at, generation, source)
    assert written == encode_planned(plain, at, generation)
    read = decode_planned(written)
    assert (read.source, read.rows()) == (source, plain.rows())
    if generation == 2:
        assert read == plain


@given(longs)
def test_a_long_reads_back_as_it_was_written(value: int) -> None:
    encoded = long_of(value)
    assert long_at(b"\x05" + encoded + b"\x09", 1) == (value, 1 + len(encoded))
