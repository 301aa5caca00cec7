"""Users who are forgotten: nothing names them any more, and every sum is what it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushcast.report import rows
from pushcast.report.apply import BookEntry
from pushcast.report.events import EventDecoders
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.headers import APPENDED
from pushcast.wire.schemas import FRAME_BYTES, SchemaSource, avro_type, released_type
from twins.books import CREATED_MS, DAY_MS, Rows, engagement, entries, receipt

USER = "frida-kahlo"
PHONE = "fridas-phone"


def forget(at: int, offset: int = 0, user: str = USER) -> BookEntry:
    return BookEntry(offset, b'{"op":"forget_user"}', (), user.encode(), at)


def told(at: int, offset: int = 0) -> BookEntry:
    return msgspec.structs.replace(engagement("opened", "n", USER, PHONE, at), offset=offset)


def names_of(store: Rows, name: str) -> list[bytes]:
    """Keys of rows that name somebody, but for the one that says until when the user is forgotten."""
    text = name.encode()
    rest = ((key, value) for key, value in store.items() if key != rows.forgotten_key(USER.encode()))
    return [key for key, value in rest if text in key or text in value]


def test_r12_no_row_names_a_forgotten_user_or_the_device_whichever_record_comes_first() -> None:
    logs = {
        topics.RECEIPT: entries(receipt("n", USER, PHONE), receipt("m", USER, PHONE, created_at=CREATED_MS - DAY_MS)),
        topics.ENGAGEMENT: [told(CREATED_MS + 5)],
        topics.DEVICE_CHANGED: [forget(CREATED_MS + 10)],
    }
    made = []
    for order in permutations(logs):
        store = Rows()
        for topic in order:
            store.apply(topic, logs[topic])
        assert names_of(store, USER) == names_of(store, PHONE) == []
        assert (store.note("n").ended_count, store.note("n").opened, store.note("m").ended_count) == (1, 1, 1)
        made.append(dict(store))
    assert all(each == made[0] for each in made)


@pytest.mark.parametrize(
    ("headers", "timestamp"),
    [((), CREATED_MS), (((APPENDED, b"%d" % CREATED_MS),), CREATED_MS + DAY_MS)],
    ids=["as it came", "redriven"],
)
def test_a_clock_that_is_ahead_forgets_nothing_that_comes_later(
    headers: tuple[tuple[str, bytes], ...], timestamp: int
) -> None:
    """REGISTER takes the user's next registration; the reports left the user out until the year that was said."""
    store = Rows()
    value = b'{"op":"forget_user","at":"2099-01-01T00:00:00Z"}'
    store.apply(topics.DEVICE_CHANGED, [BookEntry(0, value, headers, USER.encode(), timestamp)])
    store.apply(topics.RECEIPT, entries(receipt("n", USER, PHONE, created_at=CREATED_MS + 1)))
    assert [key[:1] for key in names_of(store, USER)] == [rows.DELIVERY]


def test_what_comes_after_it_is_the_users_again() -> None:
    store = Rows()
    store.apply(topics.DEVICE_CHANGED, [forget(CREATED_MS)])
    store.apply(topics.RECEIPT, entries(receipt("n", USER, PHONE, created_at=CREATED_MS + 1)))
    store.apply(topics.ENGAGEMENT, [told(CREATED_MS + 5)])
    assert {key[:1] for key in names_of(store, USER)} == {rows.DELIVERY, rows.ENGAGED}
    assert store.note("n").opened == 1


def test_a_copy_and_a_redrive_of_a_forgotten_delivery_still_find_it() -> None:
    store = Rows()
    store.apply(topics.RECEIPT, entries(receipt("n", USER, PHONE, "dead"), receipt("n", "other", PHONE)))
    store.apply(topics.DEVICE_CHANGED, [forget(CREATED_MS + 10)])
    again = receipt("n", USER, PHONE, "dead"), receipt("n", USER, PHONE, run=1)
    store.apply(topics.RECEIPT, entries(*again, first=2))
    note = store.note("n")
    assert (note.ended, note.copies) == ({"apns\0accepted\0": 2}, 1)
    assert names_of(store, USER) == []


def test_only_this_user_is_forgotten() -> None:
    store = Rows()
    users = [f"{USER}-2", "frida", "u"]
    store.apply(topics.RECEIPT, entries(*(receipt("n", user, "d") for user in (*users, USER))))
    store.apply(topics.DEVICE_CHANGED, [forget(CREATED_MS + 10)])
    kept = {key[3:].split(b"\0")[0].decode() for key in store if key[:1] == rows.DELIVERY}
    assert kept == {*users, ""}


def test_who_is_forgotten_twice_in_one_batch_loses_what_lies_between() -> None:
    store = Rows()
    both = [receipt("n", USER, PHONE), receipt("m", USER, PHONE, created_at=CREATED_MS + 20)]
    store.apply(topics.RECEIPT, entries(*both))
    store.apply(topics.DEVICE_CHANGED, [forget(CREATED_MS + 10), forget(CREATED_MS + 30, 1), forget(CREATED_MS, 2)])
    assert names_of(store, USER) == []


@pytest.mark.parametrize("user", ["", USER])
def test_nobody_can_ask_for_the_deliveries_of_forgotten_users(user: str, tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {})
    store.apply(topics.RECEIPT, entries(receipt("n", USER, PHONE)))
    store.apply(topics.DEVICE_CHANGED, [forget(CREATED_MS + 10)])
    assert list(store.deliveries(user, 0, CREATED_MS * 2)) == []
    store.close()


CHANGE = avro_type("device_change")
FORGET = {"op": "forget_user", "at": CREATED_MS + 10}


def confluent(kind: str, datum: Mapping[str, Any], schema_id: int = 7) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + avro_type(kind).encode(datum)[FRAME_BYTES:]


def avro_of_release(version: int, datum: Mapping[str, Any]) -> bytes:
    return released_type("device_change", version).encode(datum)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(CHANGE.encode(FORGET), id="newest"),
        *(pytest.param(avro_of_release(each, FORGET), id=f"release {each}") for each in range(1, 7)),
        pytest.param(confluent("device_change", FORGET), id="registry"),
        pytest.param(b'{"op":"forget\\u005fuser"}', id="escaped"),
    ],
)
def test_whoever_is_forgotten_in_avro_is_forgotten_here_too(value: bytes) -> None:
    """Avro has the op as a number: reports looked for the word, and kept who had been forgotten."""
    store = Rows(EventDecoders(SchemaSource({7: CHANGE.parsed})))
    store.apply(topics.RECEIPT, entries(receipt("n", USER, PHONE)))
    store.apply(topics.DEVICE_CHANGED, [BookEntry(0, value, (), USER.encode(), CREATED_MS + 10)])
    assert names_of(store, USER) == names_of(store, PHONE) == []
    assert store.meta(topics.DEVICE_CHANGED).unreadable == {}


@pytest.mark.parametrize("frame", [CHANGE.encode, partial(confluent, "device_change")], ids=["own", "registry"])
def test_another_change_in_avro_means_nothing_here_whatever_is_wrong_with_it(frame: Callable[[Any], bytes]) -> None:
    store = Rows(EventDecoders(SchemaSource({7: CHANGE.parsed})))
    value = frame({"op": "register", "app": "an app that this configuration does not know", "device": PHONE})
    store.apply(topics.DEVICE_CHANGED, [BookEntry(0, value, (), USER.encode(), CREATED_MS)])
    assert store.meta(topics.DEVICE_CHANGED).unreadable == {}
    assert store.get(rows.forgotten_key(USER.encode())) is None


def test_a_change_that_nobody_can_read_is_counted_since_it_may_have_been_an_erasure() -> None:
    store = Rows()
    values = [confluent("device_change", FORGET), b"\xc3\x01whatever", CHANGE.encode(FORGET)[:-1]]
    store.apply(topics.DEVICE_CHANGED, [BookEntry(at, each, (), b"u", CREATED_MS) for at, each in enumerate(values)])
    assert store.meta(topics.DEVICE_CHANGED).unreadable == {"unknown_schema": 2, "undecodable": 1}


def test_engagement_in_a_schema_of_the_registry_counts() -> None:
    kind = avro_type("engagement")
    store = Rows(EventDecoders(SchemaSource({7: kind.parsed})))
    store.apply(topics.RECEIPT, entries(receipt("n", USER, PHONE)))
    plain = told(CREATED_MS + 5)
    framed = b"\0" + (7).to_bytes(4, "big") + (plain.value or b"")[FRAME_BYTES:]
    store.apply(topics.ENGAGEMENT, [msgspec.structs.replace(plain, value=framed)])
    assert (store.note("n").opened, store.meta(topics.ENGAGEMENT).unreadable) == (1, {})
