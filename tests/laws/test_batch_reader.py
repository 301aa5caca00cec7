"""What SEND reads of a send record is what Avro reads of it, and a broken record is refused for the same reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastavro import schemaless_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.batch import NO_NOTES, Message, Notes, SendBatch, Targets
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import MAX_BADGE, Content, LiveActivity, LocalText, Options
from pushcast.wire.sending import batch_reader, many_columns
from pushcast.wire.sending.batch_reader import read_batch
from pushcast.wire.sending.batches import check_message, decode_batch, encode_batch
from pushcast.wire.sending.retries import picked

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["n" * 63, "n" * 64, "ü" * 70])
texts = names | st.just("x" * 9000)
optional = st.none() | texts
times = st.integers(1_800_000_000_000, 1_800_000_000_009) | st.sampled_from([0, -1, 2**40, 2**41, 2**62, -(2**62)])
contents = st.builds(
    Content,
    optional,
    optional,
    st.dictionaries(names, texts, max_size=3) | st.just({f"k{number}": "v" for number in range(70)}),
    st.just({}) | st.dictionaries(names, st.builds(LocalText, optional, optional), max_size=1),
    link=st.none() | texts,
)
options = st.just(Options()) | st.builds(
    Options,
    collapse_id=optional,
    thread_id=optional,
    sound=optional,
    badge=st.none() | st.sampled_from([0, 1, 99, MAX_BADGE, -1]),
    priority=st.sampled_from(["high", "normal"]),
    push_type=st.sampled_from(["alert", "background", "liveactivity"]),
    dry_run=st.booleans(),
    at_most_once=st.booleans(),
    live_activity=st.none() | st.just(LiveActivity(event="end", timestamp=5)),
    channel_id=st.none() | st.just("chats"),
)


MISSING: list[Any] = [None, None]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Nearly all of one notification and one target, and what `check_message` refuses among them."""
    count, notes = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (3, 3), (0, 0)]))

    def column(values: st.SearchStrategy[Any], size: int = count) -> list[Any]:
        return draw(st.lists(values, min_size=size, max_size=size))

    return Message(
        draw(names),
        draw(names),
        draw(contents),
        draw(options),
        draw(st.binary(min_size=16, max_size=16) | st.just(b"short")),
        column(names, notes),
        column(times, notes),
        column(st.sampled_from(["", "00-ab-cd-01"]), notes),
        Targets(
            column(st.sampled_from([0, 0, 0, 1, -1])),
            column(names),
            column(names),
            column(st.sampled_from([b"d" * 16, b"d" * 15, b"e" * 16])),
            column(st.integers(-1, 3)),
            column(st.sampled_from([b"", b"a" * 64, b"a" * 163, b"a" * 9000])),
            column(st.sampled_from(["", "", "key-1"])),
            column(st.sampled_from([b"h" * 16, b"h"])),
            column(times),
            column(times | st.integers(0, 70_000)),
            column(times),
            column(st.sampled_from([0, 0, 1, 63, 64, -1, 2**31 - 1])),
            draw(st.sampled_from([*MISSING, [None] * count])),
            draw(st.sampled_from([*MISSING, ["2.0.1"] * count])),
            draw(st.sampled_from([*MISSING, [b"\x31\0\0\0\1\0key", None, None][:count]])),
        ),
        draw(
            st.sampled_from(
                [NO_NOTES, NO_NOTES, Notes(campaign=["spring"] * notes), Notes(replay_of=["n-0", "b", None][:notes])]
            )
        ),
        draw(st.sampled_from([False, False, True])),
        draw(st.sampled_from([False, False, True])),
    )


batches = st.builds(
    SendBatch,
    names,
    names,
    st.lists(messages(), max_size=3),
    st.integers(0, 3) | st.just(-1),
    st.none() | times,
    st.sampled_from([0, 0, 1, 9]),
)


def answer(read: Callable[[bytes], SendBatch], value: bytes) -> object:
    try:
        return read(value)
    except InvalidInput as error:
        return error.reason, error.field, str(error)


def checked(value: bytes) -> SendBatch:
    batch = decode_batch(value)
    for message in batch.messages:
        check_message(message)
    return batch


def parted(value: bytes) -> SendBatch:
    """What is read together, one by one."""
    batch = read_batch(value, lambda app: True)
    batch.messages = [
        each
        for message in batch.messages
        for each in ([message] if message.wordings is None else picked(message, range(len(message.targets))))
    ]
    return batch


def assert_same(value: bytes) -> None:
    assert answer(read_batch, value) == answer(checked, value) == answer(parted, value)


@settings(max_examples=300, deadline=None)
@given(batches)
def test_a_record_is_read_as_avro_reads_it(batch: SendBatch) -> None:
    assert_same(encode_batch(batch))


def chat(number: int, how: Options, version: str | None = None, *, tracked: bool = False) -> Message:
    targets = Targets(
        *([0], [f"user-{number}"], ["phone"], [b"d" * 16], [0], [b"a" * 64], ["key-1"], [b"h" * 16]),
        *([1_800_000_000_000 + number], [number], [1_800_000_100_000], [0]),
        app_version=None if version is None else [version],
    )
    return Message(
        *("shop", "chat", Content("Anna", f"hello {number}", {"room": "7"}, tracked=tracked), how, b"c" * 16),
        *([f"n-{number}"], [1_800_000_000_001], [""], targets),
    )


WAYS = [Options(), Options(thread_id="t", badge=3, sound="bell"), Options(channel_id="chats")]


@pytest.mark.parametrize(("how", "version"), [(WAYS[0], None), (WAYS[1], None), (WAYS[2], None), (WAYS[0], "7.1")])
def test_a_record_that_is_broken_anywhere_is_refused_as_avro_refuses_it(how: Options, version: str | None) -> None:
    value = encode_batch(SendBatch("normal", "apns", [chat(1, how, version), chat(2, how, version)]))
    for at in range(10, len(value)):
        byte = value[at]
        for other in (b"", *(bytes([byte ^ bits]) for bits in (1, 2, 3, 4, 0x80, 0x81)), bytes([byte, 0])):
            assert_same(value[:at] + other + value[at + 1 :])
        assert_same(value[:at])


def test_chats_whose_apps_tell_what_becomes_of_them_are_read_as_avro_reads_them() -> None:
    messages = [chat(number, WAYS[0], tracked=number % 3 == 0) for number in range(9)]
    value = encode_batch(SendBatch("normal", "apns", messages))
    assert_same(value)
    assert [each.content.tracked for each in checked(value).messages] == [True, False, False] * 3


@pytest.mark.parametrize("version", [None, "7.1.0"])
@pytest.mark.parametrize("how", WAYS)
def test_a_chat_does_not_need_avro(how: Options, version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = SendBatch("normal", "apns", [chat(number, how, version) for number in range(50)])
    value = encode_batch(batch)
    monkeypatch.delattr(batch_reader, "decode_batch")
    monkeypatch.delattr(batch_reader, "schemaless_reader")
    assert read_batch(value) == batch


@pytest.mark.parametrize("odd", ["two targets", "a long name"])
def test_one_odd_message_among_chats_is_read_by_avro_alone(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = chat(0, Options())
    if odd == "two targets":
        other.targets = other.targets.picked([0, 0])
    else:
        other.targets.user[0] = "u" * 64
    batch = SendBatch("normal", "apns", [chat(1, Options()), other, chat(2, Options())])
    value = encode_batch(batch)
    monkeypatch.delattr(batch_reader, "decode_batch")
    assert read_batch(value) == batch


#: Columns as they come: of one value, of one length, counted up, and of anything.
SHAPES = ["one", "alike", "counted", "any"]


@st.composite
def many_targets(draw: st.DrawFn) -> Message:
    """A message of many targets, each column of a shape of its own."""
    count, notes = draw(st.sampled_from([(2, 1), (3, 3), (7, 2), (64, 64), (70, 1), (70, 70)]))

    def column(size: int, any_: st.SearchStrategy[Any], *alike: list[Any], counts: bool = False) -> list[Any]:
        shape = draw(st.sampled_from(SHAPES))
        if shape == "one":
            return [draw(any_)] * size
        if shape == "counted" and counts:
            return list(range(size))
        if shape == "alike" and alike:
            return [(pool := draw(st.sampled_from(alike)))[number % len(pool)] for number in range(size)]
        return draw(st.lists(any_, min_size=size, max_size=size))

    ids = [f"{number:012x}" * 2 for number in range(9)]  # their length is the character 0
    others = ["abc", "dé", "xyz", "\x04ab"]
    small, offsets, late = list(range(64)), [70_000, 66_000, 99_999], [1_800_000_000_000, 1_800_000_000_777]
    delivery_ids = [bytes([number]) * 16 for number in range(9)]
    names_ = (names, ids, others)
    message = Message(
        *("shop", "news", draw(contents), draw(options), b"c" * 16),
        column(notes, *names_),
        column(notes, times, late),
        column(notes, st.sampled_from(["", "00-ab-cd-01"])),
        Targets(
            column(count, st.integers(0, notes - 1), counts=notes == count),
            column(count, *names_),
            column(count, *names_),
            column(count, st.sampled_from(delivery_ids), delivery_ids),
            column(count, st.integers(0, 3)),
            column(count, st.sampled_from([b"", b"a" * 64, b"b" * 64, b"a" * 163]), [b"a" * 200, b"b" * 200]),
            column(count, st.sampled_from(["", "key-1", "key-2"])),
            column(count, st.sampled_from([b"h" * 16, b"i" * 16, b"h"])),
            column(count, times, late),
            column(
                count, times | st.integers(-1, 70_000), small, offsets, [-5, -6], [2**61 - 1, 2**61 - 9], counts=True
            ),
            column(count, times, late),
            column(count, st.sampled_from([0, 0, 1, 63, 64]), small),
            draw(st.sampled_from([*MISSING, [None] * count, late[:1] * count])),
            draw(st.sampled_from([*MISSING, ["2.0.1"] * count])),
        ),
        draw(st.sampled_from([NO_NOTES, Notes(campaign=["spring"] * notes), Notes(due_at=[5] * notes)])),
    )
    message.counted, message.removable = draw(st.booleans()), draw(st.booleans())
    return message


@settings(max_examples=200, deadline=None)
@given(st.lists(many_targets(), min_size=1, max_size=2), st.booleans())
def test_columns_of_many_targets_are_read_as_avro_reads_them(several: list[Message], with_chat: bool) -> None:
    chats = [chat(1, WAYS[0])] * with_chat
    assert_same(encode_batch(SendBatch("normal", "apns", [*chats, *several, *chats])))


def news(count: int) -> Message:
    message = chat(0, WAYS[0])
    message.notification_ids = [f"n-{number}" for number in range(count)]
    message.created_at, message.traces = message.created_at * count, message.traces * count
    message.targets = message.targets.picked([0] * count)
    message.targets.notification = list(range(count))
    message.targets.user = [f"user-{number}" for number in range(count)]
    message.targets.delivery_id = [bytes([number]) * 16 for number in range(count)]
    message.targets.address = [b"%064x" % number for number in range(count)]
    message.targets.source_offset = [70_000 + 7 * number for number in range(count)]
    return message


def test_a_message_of_many_that_is_broken_anywhere_is_refused_as_avro_refuses_it() -> None:
    value = encode_batch(SendBatch("normal", "apns", [news(3), chat(1, WAYS[0])]))
    for at in range(10, len(value)):
        byte = value[at]
        for other in (b"", *(bytes([byte ^ bits]) for bits in (1, 2, 4, 0x80, 0x81)), bytes([byte, 0])):
            assert_same(value[:at] + other + value[at + 1 :])
        assert_same(value[:at])


def test_a_count_that_promises_more_than_there_is_costs_no_memory() -> None:
    value = encode_batch(SendBatch("normal", "apns", [news(3)]))
    at = value.index(b"\x06\x06n-0")
    assert_same(value[:at] + b"\xfe\xff\xff\xff\xff\xff\x7f" + value[at + 1 :])


@pytest.mark.parametrize("source", [0, 1])
def test_a_message_of_many_does_not_need_avro(source: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = SendBatch("normal", "apns", [news(10), chat(1, WAYS[0]), news(100)], source=source)
    value = encode_batch(batch)
    monkeypatch.delattr(batch_reader, "decode_batch")
    monkeypatch.delattr(batch_reader, "schemaless_reader")
    monkeypatch.setattr(many_columns, "schemaless_reader", only_texts)
    assert read_batch(value) == batch


def only_texts(stream: Any, schema: Any, _: Any) -> Any:
    """Ids of several lengths are read by Avro; nothing else is."""
    assert schema == {"type": "array", "items": "string"}
    return schemaless_reader(stream, schema, None)


def of_app(number: int, app: str = "shop", klass: str = "chat", **how: Any) -> Message:
    message = chat(number, Options(thread_id=f"t-{number}", **how), "7.1" if number % 2 else None)
    message.app, message.klass = app, klass
    return message


def test_chats_of_an_app_that_follow_each_other_are_read_as_one_message_with_their_own_wordings() -> None:
    singles = [of_app(1), of_app(2), of_app(3)]
    (message,) = read_batch(encode_batch(SendBatch("normal", "apns", singles)), lambda app: app == "shop").messages
    assert [(each.content, each.options) for each in message.wordings or []] == [
        (m.content, m.options) for m in singles
    ]
    assert message.targets.user == ["user-1", "user-2", "user-3"]
    assert message.targets.notification == [0, 1, 2]
    assert message.targets.app_version == ["7.1", None, "7.1"]
    assert [message.options_of(number).thread_id for number in range(3)] == ["t-1", "t-2", "t-3"]


@pytest.mark.parametrize(
    "other",
    [
        of_app(2, app="news"),
        of_app(2, klass="code"),
        of_app(2, dry_run=True),
        of_app(2, at_most_once=True),
    ],
    ids=["app", "class", "dry run", "at most once"],
)
def test_what_differs_in_more_than_its_wording_keeps_its_place_between_them(other: Message) -> None:
    singles = [of_app(1), other, of_app(3)]
    messages = read_batch(encode_batch(SendBatch("normal", "apns", singles)), lambda app: True).messages
    assert messages == singles


def test_messages_of_an_app_whose_provider_takes_one_content_stay_apart() -> None:
    singles = [of_app(1), of_app(2)]
    assert read_batch(encode_batch(SendBatch("normal", "apns", singles)), lambda app: app == "news").messages == singles
