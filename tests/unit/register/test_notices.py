"""What REGISTER tells KEEP of users (facts S12 and P4 of reference/time.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row, partition_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.devices.user_rows import decode_user_row
from pushcast.wire.waiting.notices import THREADS_OFF, Notice, NoticeKind, notice_headers, notice_of, thread_name
from unit.register.twin import PARTITIONS, T0, Harness

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)


def register(at: int, **fields: Any) -> bytes:
    event = {"op": "register", "app": "news", "device": "d", "platform": "fcm", "token": "t" * 40, "at": at}
    return json.dumps(event | fields).encode()


def prefer(at: int, **fields: Any) -> bytes:
    return json.dumps({"op": "prefer", "at": at} | fields).encode()


def told(harness: Harness) -> list[Notice]:
    records = harness.kafka.log[topics.keep(Lane.URGENT), HOME]
    assert all((record.key, record.value) == (USER, b"") for record in records)
    return [notice_of(record.headers) for record in records]


async def test_s12_a_device_with_another_zone_than_before_is_told_and_no_other() -> None:
    harness = Harness()
    await harness.change(
        (USER, register(T0 - 50, time_zone="America/New_York")),
        (USER, register(T0 - 40, time_zone="America/New_York", locale="de")),
        (USER, register(T0 - 30, time_zone="Europe/Berlin")),
        (USER, register(T0 - 35, time_zone="Asia/Tokyo")),
    )
    assert told(harness) == [Notice(NoticeKind.ZONES_CHANGED, T0 - 30)]


def another(at: int, device: str, zone: str | None, **fields: Any) -> bytes:
    return register(at, device=device, token=device * 20, time_zone=zone, **fields)


async def test_s14_a_device_more_is_told_where_devices_are_in_different_zones_and_else_not() -> None:
    """It got what waited for a later zone with that zone's devices, hours after its own time."""
    harness = Harness()
    await harness.change(
        (USER, another(T0 - 90, "d1", "America/New_York")),
        (USER, another(T0 - 80, "d2", "America/New_York")),
        (USER, another(T0 - 70, "d3", None)),
    )
    assert told(harness) == [], "for those in one zone nothing waits that is over for others"
    await harness.change((USER, another(T0 - 60, "d4", "Asia/Tokyo")))
    await harness.change((USER, another(T0 - 50, "d5", "Asia/Tokyo")))
    assert told(harness) == [Notice(NoticeKind.ZONES_CHANGED, at) for at in (T0 - 60, T0 - 50)]
    await harness.change((USER, another(T0 - 40, "d5", "Asia/Tokyo", locale="de")))
    assert len(told(harness)) == 2, "a refresh is no device more"


async def test_s14_a_device_more_that_is_handled_again_is_told_again() -> None:
    harness = Harness()
    event = another(T0 - 60, "d2", "Asia/Tokyo")
    await harness.change((USER, another(T0 - 90, "d1", "America/New_York")))
    await harness.change((USER, event))
    await harness.change((USER, event))
    assert told(harness) == [Notice(NoticeKind.ZONES_CHANGED, T0 - 60)] * 2


async def test_s14_a_staged_device_is_told_when_it_is_activated() -> None:
    harness = Harness()
    await harness.change((USER, another(T0 - 90, "d1", "America/New_York")))
    await harness.change((USER, another(T0 - 80, "d2", "Asia/Tokyo", staged=True)))
    before = len(told(harness))
    activate = json.dumps({"op": "activate", "app": "news", "device": "d2", "at": T0 - 70}).encode()
    await harness.change((USER, activate))
    assert (before, len(told(harness))) == (0, 1)


async def test_another_zone_of_the_user_is_told_and_no_other_preference() -> None:
    harness = Harness()
    await harness.change(
        (USER, prefer(T0 - 50, time_zone="America/New_York")),
        (USER, prefer(T0 - 40, time_zone="America/New_York", classes={"promo": "off"})),
        (USER, prefer(T0 - 30, classes={"promo": "off"})),
    )
    assert told(harness) == [Notice(NoticeKind.ZONES_CHANGED, T0 - 50), Notice(NoticeKind.ZONES_CHANGED, T0 - 30)]


@pytest.mark.parametrize(
    "event", [register(T0 - 30, time_zone="Europe/Berlin"), prefer(T0 - 30, time_zone="Europe/Berlin")]
)
async def test_an_event_that_is_handled_again_is_told_again(event: bytes) -> None:
    """A kill may have come between the row and the notice."""
    harness = Harness()
    await harness.change((USER, register(T0 - 50, time_zone="America/New_York")))
    await harness.change((USER, event))
    await harness.change((USER, event))
    assert told(harness) == [Notice(NoticeKind.ZONES_CHANGED, T0 - 30)] * 2


async def test_p1_threads_that_are_switched_off_or_on_are_told_as_they_are_in_each_app() -> None:
    """What gathers in a digest with other threads was shown to who had switched its thread off meanwhile."""
    harness = Harness()
    await harness.change(
        (USER, prefer(T0 - 50, threads={"t1": "off", "t2": "off", "t3": "on"})),
        (USER, prefer(T0 - 40, threads={"t1": "off", "t2": "off", "t3": "on"}, classes={"promo": "off"})),
        (USER, prefer(T0 - 30, app="news", threads={"t2": "on", "t4": "off"})),
        (USER, prefer(T0 - 20)),
    )
    t1, t2, t4 = map(thread_name, ("t1", "t2", "t4"))
    everywhere = frozenset([t1, t2])
    assert told(harness) == [
        Notice(NoticeKind.THREADS_SWITCHED, T0 - 50, {"": everywhere}),
        Notice(NoticeKind.THREADS_SWITCHED, T0 - 30, {"": everywhere, "news": frozenset([t1, t4])}),
        Notice(NoticeKind.THREADS_SWITCHED, T0 - 20, {"": frozenset(), "news": frozenset([t4])}),
    ]


async def test_p1_threads_that_are_told_again_after_a_kill() -> None:
    harness = Harness()
    event = prefer(T0 - 50, threads={"t1": "off"})
    await harness.change((USER, event))
    await harness.change((USER, event))
    switched = Notice(NoticeKind.THREADS_SWITCHED, T0 - 50, {"": frozenset([thread_name("t1")])})
    assert [each for each in told(harness) if each.off is not None] == [switched] * 2


def test_p1_a_keeper_of_an_earlier_release_takes_it_for_changed_zones() -> None:
    headers = notice_headers(Notice(NoticeKind.THREADS_SWITCHED, T0, {"": frozenset()}))
    assert notice_of([each for each in headers if each[0] != THREADS_OFF]) == Notice(NoticeKind.ZONES_CHANGED, T0)


@pytest.mark.parametrize("value", [b"[]", b"{", b'{"news": "xyz"}', b'{"news": 1}'])
def test_p1_threads_that_nobody_can_read_are_refused_by_the_header_s_name(value: bytes) -> None:
    headers = notice_headers(Notice(NoticeKind.ZONES_CHANGED, T0))
    with pytest.raises(InvalidInput, match=THREADS_OFF):
        notice_of([*headers, (THREADS_OFF, value)])


async def test_p4_a_forgotten_user_is_told_each_time() -> None:
    harness = Harness()
    forget = json.dumps({"op": "forget_user", "at": T0 - 20}).encode()
    await harness.change((USER, register(T0 - 50)), (USER, forget), (USER, forget))
    assert told(harness) == [Notice(NoticeKind.FORGOTTEN, T0 - 20)] * 2


async def test_preferences_of_200_classes_changed_a_hundred_times_are_one_row_that_says_the_last() -> None:
    """Bad input of the issue: a row in flight is overwritten where it lies, and the keeper is told nothing."""
    harness = Harness()
    changes = [
        (USER, prefer(T0 - 1_000 + turn * 10, classes={f"c{n}": "off" if (n + turn) % 2 else "on" for n in range(200)}))
        for turn in range(100)
    ]
    await harness.change(*changes)
    [row] = [value for key, value in harness.kafka.compacted(HOME).items() if is_user_row(key)]
    chosen = decode_user_row(row)
    assert (chosen.at, len(chosen.classes), chosen.classes["c0"]) == (T0 - 10, 200, "off")
    assert told(harness) == []
