"""Single deliveries behind a sum: what is found, how far is looked, and who is nobody's example."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.report.examples import examples_of
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.control.examples import ExampleFilter
from twins.books import CREATED_MS, DAY_MS, Rows, entries, receipt
from unit.report.test_forgotten import forget

GONE = {"outcome": "invalid", "reason": "device_unregistered"}


def wanted(**more: object) -> ExampleFilter:
    return ExampleFilter(CREATED_MS - DAY_MS, CREATED_MS + DAY_MS, **more)  # type: ignore[arg-type]


def books(*receipts: bytes) -> Rows:
    store = Rows()
    store.apply(topics.RECEIPT, entries(*receipts))
    return store


def users_of(store: Rows, asked: ExampleFilter, limit: int = 10) -> list[str]:
    return [user for user, _, _ in examples_of(store.scan, lambda _: 0, asked, limit).found]


@pytest.mark.parametrize(
    ("asked", "users"),
    [
        (wanted(), ["ann", "bob", "eve"]),
        (wanted(reason="device_unregistered"), ["bob", "eve"]),
        (wanted(reason="device_unregistered", platform="fcm"), ["eve"]),
        (wanted(notes=["n"]), ["ann", "bob"]),
        (wanted(notes=["n", "m"], outcome="invalid"), ["bob", "eve"]),
        (wanted(apps=["news"], outcome="accepted"), ["ann"]),
        (wanted(apps=["shop"]), []),
        (wanted(reason="device_un"), []),
        (wanted(slower_than_ms=100), ["ann"]),  # the others took as long, and were not accepted
        (wanted(slower_than_ms=101), []),
    ],
)
def test_deliveries_are_found_by_what_they_have_in_common(asked: ExampleFilter, users: list[str]) -> None:
    store = books(
        receipt("n", "ann", "d"), receipt("n", "bob", "d", **GONE), receipt("m", "eve", "d", platform="fcm", **GONE)
    )
    assert users_of(store, asked) == users


def test_the_newest_day_comes_first_and_those_outside_the_time_are_left_out() -> None:
    times = {"a": CREATED_MS - 3 * DAY_MS, "b": CREATED_MS - DAY_MS, "c": CREATED_MS}
    store = books(*(receipt("n", user, "d", created_at=at) for user, at in times.items()))
    assert users_of(store, wanted()) == ["c", "b"]


def test_it_stops_at_its_bounds_and_says_so() -> None:
    store = books(*(receipt("n", f"u{number:02}", "d") for number in range(20)))
    said = examples_of(store.scan, lambda _: 0, wanted(), 5)
    assert (len(said.found), said.looked_at, said.more) == (5, 5, True)
    said = examples_of(store.scan, lambda _: 0, wanted(reason="expired"), 5, most=7)
    assert (said.found, said.looked_at, said.more) == ([], 7, True)
    said = examples_of(store.scan, lambda _: 0, wanted(reason="expired"), 5)
    assert (said.found, said.looked_at, said.more) == ([], 20, False)


def test_r12_a_forgotten_user_is_nobodys_example(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {})
    user = "frida-kahlo"
    store.apply(topics.RECEIPT, entries(receipt("n", user, "d"), receipt("n", "ann", "d")))
    store.apply(topics.DEVICE_CHANGED, [forget(CREATED_MS + 10)])
    found = examples_of(store.scan, store.forgotten_until, wanted(), 10).found
    assert [each for each, _, _ in found] == ["ann"]
    store.close()
