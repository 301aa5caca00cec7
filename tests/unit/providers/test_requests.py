"""Requests of many messages in columns."""

from __future__ import annotations

from pushcast.providers.engines.engine import GATHERED_TARGETS, MAX_GATHERED
from pushcast.providers.requests import Requests, Shelf


def added(shelf: Shelf, key: str, size: int) -> Requests:
    requests = shelf.requests(key, 1, size)
    requests.owners += [None] * size  # type: ignore[list-item]
    requests.columns[0] += list(range(size))
    return requests


def test_small_parts_of_one_template_share_requests() -> None:
    shelf = Shelf()
    assert added(shelf, "a", 1) is added(shelf, "a", GATHERED_TARGETS)
    assert added(shelf, "b", 1) is not added(shelf, "a", 1)
    assert [(requests.key, len(requests)) for requests in shelf.all] == [("a", GATHERED_TARGETS + 2), ("b", 1)]


def test_a_large_part_has_requests_of_its_own() -> None:
    shelf = Shelf()
    small = added(shelf, "a", 1)
    assert added(shelf, "a", GATHERED_TARGETS + 1) is not small
    assert added(shelf, "a", 1) is small


def test_no_more_are_gathered_than_the_limit() -> None:
    shelf = Shelf()
    for _ in range(MAX_GATHERED + 1):
        added(shelf, "a", 1)
    assert [len(requests) for requests in shelf.all] == [MAX_GATHERED, 1]


def test_some_of_the_requests_are_picked_in_the_order_asked_for() -> None:
    requests = Requests("a", 2)
    requests.columns[0] += [b"a", b"b", b"c"]
    requests.columns[1] += [b"1", b"2", b"3"]
    assert requests.picked([2, 0]) == [[b"c", b"a"], [b"3", b"1"]]
