"""Urgent events beside the flood."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pushcast.config.settings import Settings
from pushcast.demo.notes import Note
from pushcast.demo.notify import Trickle


def test_what_goes_wrong_in_the_trickle_is_raised_where_the_demo_waits_for_it() -> None:
    def broken() -> Iterator[Note]:
        raise RuntimeError("no events")
        yield

    trickle = Trickle(Settings(), broken())
    trickle.start()
    with pytest.raises(RuntimeError, match="no events"):
        trickle.finish()


def test_a_trickle_without_events_ends() -> None:
    trickle = Trickle(Settings(), [])
    trickle.start()
    trickle.finish()
    assert not trickle.is_alive()
