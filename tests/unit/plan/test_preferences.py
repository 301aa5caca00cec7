"""What users want, at the planner: fact P1 of reference/time.md and ruling II.9."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.config.classes import Class
from twins.holding import World, ms

NOW = "2026-12-01T12:00:00Z"
OPTED_OUT, MUTED = [("suppressed", "opted_out")], [("suppressed", "muted")]


def world(promo: Class | None = None) -> World:
    made = World(NOW, promo=promo or Class(window_seconds=0))
    made.device("phone", None)
    return made


async def send(it: World, number: int = 1, **fields: Any) -> None:
    await it.send(number, "promo", **fields)


@pytest.mark.parametrize(
    ("wishes", "ends"),
    [
        ({"classes": {"promo": "off"}}, OPTED_OUT),
        ({"classes": {"other": "off"}}, []),
        ({"threads": {"t1": "off"}}, OPTED_OUT),
        ({"muted_until": ms(NOW) + 1}, MUTED),
        ({"muted_until": ms(NOW)}, []),
    ],
)
async def test_p1_an_opt_out_for_all_apps_counts_for_an_event_that_names_one(
    wishes: dict[str, Any], ends: list[tuple[str, str]]
) -> None:
    it = world()
    it.wishes(**wishes)
    await send(it, app="news", options={"thread_id": "t1"})
    assert it.ends == ends
    assert bool(it.arrived) is not bool(ends)


async def test_p1_who_opts_out_after_scheduling_does_not_get_it() -> None:
    it = world()
    await send(it, deliver_at="2026-12-01T18:00:00Z")
    it.wishes(classes={"promo": "off"})
    await it.release_all()
    assert (it.arrived, it.ends) == ({}, OPTED_OUT)


@pytest.mark.parametrize(("muted_until", "ends"), [("2026-12-01T18:00:00Z", []), ("2026-12-01T18:00:01Z", MUTED)])
async def test_p1_a_mute_that_is_over_when_it_is_due_ends_nothing(
    muted_until: str, ends: list[tuple[str, str]]
) -> None:
    """Who had muted for an hour never got what was scheduled for the next day in that hour."""
    it = world()
    it.wishes(muted_until=ms(muted_until))
    await send(it, deliver_at="2026-12-01T18:00:00Z")
    await it.release_all()
    assert (it.ends, it.arrived) == (ends, {} if ends else {"phone": "01T18:00Z"})


async def test_p1_of_local_times_each_device_is_muted_by_its_own() -> None:
    it = World(NOW, promo=Class(window_seconds=0))
    for name, zone in (("tokyo", "Asia/Tokyo"), ("berlin", "Europe/Berlin"), ("york", "America/New_York")):
        it.device(name, zone)
    it.wishes(muted_until=ms("2026-12-24T01:00Z"))
    await send(it, deliver_local_at="2026-12-24T09:00")
    await it.release_all()
    assert it.arrived == {"berlin": "24T08:00Z", "york": "24T14:00Z"}
    assert it.ends == []


async def test_p1_a_local_time_within_a_mute_everywhere_ends_as_muted() -> None:
    it = World(NOW, promo=Class(window_seconds=0))
    it.device("tokyo", "Asia/Tokyo")
    it.device("york", "America/New_York")
    it.wishes(muted_until=ms("2026-12-25T00:00Z"))
    await send(it, deliver_local_at="2026-12-24T09:00")
    await it.release_all()
    assert (it.arrived, it.ends) == ({}, MUTED)


async def test_p1_nobody_opts_out_of_a_mandatory_class() -> None:
    it = world(Class(window_seconds=0, mandatory=True))
    it.wishes(classes={"promo": "off"})
    await send(it)
    assert it.arrived == {"phone": "01T12:00Z"}


async def test_a_class_with_opt_in_is_for_those_who_have_said_on() -> None:
    it = world(Class(window_seconds=0, opt_in=True))
    await send(it, 1)
    assert it.ends == OPTED_OUT
    it.wishes(classes={"promo": "on"})
    await send(it, 2)
    assert it.arrived == {"phone": "01T12:00Z"}


async def test_an_opt_out_in_one_app_leaves_its_devices_out_of_an_event_for_all() -> None:
    it = world()
    it.device("desk", None, app="chat")
    it.wishes("chat", classes={"promo": "off"})
    await send(it, 1, app=None)
    assert it.arrived == {"phone": "01T12:00Z"}
    it.wishes("news", classes={"promo": "off"})
    await send(it, 2, app=None)
    assert it.ends == OPTED_OUT


async def test_an_event_of_one_app_reaches_no_device_of_another() -> None:
    it = world()
    it.device("desk", None, app="chat")
    await send(it, app="chat")
    assert it.arrived == {"desk": "01T12:00Z"}


async def test_who_opts_out_in_vain_of_a_second_look_up_is_not_sent_to() -> None:
    it = World(NOW, promo=Class(window_seconds=0))
    await send(it)
    it.device("phone", None)
    it.wishes(classes={"promo": "off"})
    await it.harness.pass_time(5)
    await it.harness.acknowledge()
    assert (it.arrived, it.ends) == ({}, OPTED_OUT)


async def test_p2_an_event_waits_to_be_read_elsewhere_and_is_sent_if_it_was_not() -> None:
    it = world()
    await send(it, unless_read_seconds=60)
    assert (it.arrived, it.reasons) == ({}, ["unless_read"])
    await it.release_all()
    assert it.arrived == {"phone": "01T12:01Z"}
    [batch] = it.harness.batches()
    assert batch.messages[0].targets.expires_at == [ms("2026-12-02T12:00:00Z")], "the wait lengthens no expiry"


async def test_p2_a_class_may_say_so_for_all_of_its_events() -> None:
    it = world(Class(window_seconds=0, unless_read_seconds=120))
    await send(it)
    await it.release_all()
    assert it.arrived == {"phone": "01T12:02Z"}
    await send(it, 2, unless_read_seconds=0)
    assert it.reasons == ["unless_read", "", ""]


async def test_a_class_with_a_read_gate_asks_the_keeper_at_once() -> None:
    it = world(Class(window_seconds=0, read_gate=True))
    await send(it)
    assert (it.arrived, it.reasons) == ({}, ["read_gate"])
    await it.release_all()
    assert it.arrived == {"phone": "01T12:00Z"}


async def test_p4_what_was_scheduled_before_its_user_was_forgotten_is_not_for_who_comes_since() -> None:
    it = world()
    await send(it, 1, deliver_at="2026-12-01T18:00:00Z")
    await send(it, 2, deliver_local_at="18:00")
    it.wishes(forgotten_at=ms(NOW) + 1)
    it.device("new phone", None)
    await it.release_all()
    assert (it.arrived, it.ends) == ({}, [("cancelled", "user_forgotten")] * 2)
    it.move_to("2026-12-01T18:00:01Z")
    await send(it, 3)
    assert set(it.arrived) == {"phone", "new phone"}
