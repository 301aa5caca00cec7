from __future__ import annotations

import ctypes

import pytest

from pushcast.runtime.memory import give_back, share_pools


class Without:
    """A C library without the GNU one's calls."""


def test_where_the_c_library_has_no_such_calls_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Without())
    share_pools()
    give_back()


def test_it_asks_for_two_pools_and_for_a_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    class Library:
        def mallopt(self, *arguments: int) -> None:
            asked.append(("mallopt", *arguments))

        def malloc_trim(self, pad: int) -> None:
            asked.append(("malloc_trim", pad))

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    share_pools()
    give_back()
    assert asked == [("mallopt", -8, 2), ("malloc_trim", 0)]
