"""What users want, at REGISTER: newer wins, a choice replaces all of the one before, and a forgotten user stays so."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.ids import is_user_row, partition_of, user_row_key
from pushcast.model.user import UserRow
from pushcast.register.decide import preferred
from pushcast.register.kept import Kept
from pushcast.wire.devices.user_rows import decode_user_row
from unit.register.twin import PARTITIONS, T0, Harness

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
MINE, IN_NEWS = user_row_key("user-1"), user_row_key("user-1", "news")


def prefer(at: int = T0, **fields: Any) -> bytes:
    return json.dumps({"op": "prefer", "at": at} | fields).encode()


def rows_of(harness: Harness) -> dict[bytes, UserRow]:
    return {key: decode_user_row(value) for key, value in harness.kafka.compacted(HOME).items() if is_user_row(key)}


async def test_a_choice_is_a_row_for_all_apps_or_for_one() -> None:
    harness = Harness()
    await harness.change((USER, prefer(classes={"promo": "off"})), (USER, prefer(app="news", time_zone="Asia/Tokyo")))
    assert rows_of(harness) == {
        MINE: UserRow(at=T0, classes={"promo": "off"}),
        IN_NEWS: UserRow(at=T0, time_zone="Asia/Tokyo"),
    }


async def test_the_newer_one_replaces_all_of_the_older_and_an_older_one_nothing() -> None:
    harness = Harness()
    await harness.change(
        (USER, prefer(T0 - 20, classes={"promo": "off"}, time_zone="Asia/Tokyo")),
        (USER, prefer(T0 - 10, threads={"t1": "off"})),
        (USER, prefer(T0 - 15, classes={"other": "off"})),
    )
    assert rows_of(harness) == {MINE: UserRow(at=T0 - 10, threads={"t1": "off"})}
    assert harness.counters["preferences", "outdated"] == 1


async def test_a_choice_from_before_the_user_was_forgotten_brings_nothing_back() -> None:
    harness = Harness()
    await harness.change(
        (USER, prefer(T0 - 30, classes={"promo": "off"})),
        (USER, json.dumps({"op": "forget_user", "at": T0 - 20}).encode()),
        (USER, prefer(T0 - 25, classes={"promo": "off"})),
        (USER, prefer(T0 - 25, app="news", classes={"promo": "off"})),
    )
    assert rows_of(harness) == {MINE: UserRow(forgotten_at=T0 - 20)}
    await harness.change((USER, prefer(T0 - 10, classes={"promo": "on"})))
    assert rows_of(harness) == {MINE: UserRow(forgotten_at=T0 - 20, at=T0 - 10, classes={"promo": "on"})}


async def test_200_classes_that_are_changed_a_hundred_times_are_one_row_and_no_dead_letter() -> None:
    harness = Harness()
    choices = [{f"class-{number}": "off" if change % 2 else "on" for number in range(200)} for change in range(100)]
    await harness.change(*[(USER, prefer(T0 - 100 + at, classes=each)) for at, each in enumerate(choices)])
    assert rows_of(harness) == {MINE: UserRow(at=T0 - 1, classes=choices[-1])}
    assert harness.counters["preferences", "written"] == 100


async def test_what_is_too_large_for_a_row_is_a_dead_letter_and_the_stream_goes_on() -> None:
    harness = Harness()
    threads = {f"{number:03}{'t' * 250}": "off" for number in range(200)}
    classes = {f"{number:03}{'c' * 250}": "off" for number in range(200)}
    await harness.change((USER, prefer(threads=threads, classes=classes)), (USER, prefer(classes={"promo": "off"})))
    assert rows_of(harness) == {MINE: UserRow(at=T0, classes={"promo": "off"})}


CHOICES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["on", "off"])), min_size=1, max_size=8)


@given(choices=CHOICES, order=st.randoms(use_true_random=False))
def test_the_newest_choice_wins_in_whatever_order_they_come(choices: list[tuple[int, str]], order: Any) -> None:
    choices = list({at: (at, word) for at, word in choices}.values())
    order.shuffle(choices)
    row: UserRow | None = None
    for at, word in choices:
        after = preferred(UserRow(classes={"promo": word}), at, row)
        row = row if isinstance(after, Kept) else after
    newest = max(choices)
    assert row == UserRow(at=newest[0], classes={"promo": newest[1]})
