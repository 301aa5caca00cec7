"""Users who are forgotten: nothing names them any more, and every sum is what it was."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from pushcast.report import rows
from pushcast.report.apply import BookEntry
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.headers import APPENDED
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
