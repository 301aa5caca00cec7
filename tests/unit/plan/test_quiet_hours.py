"""Quiet hours at the planner: facts Q1 and Q5 to Q8 and Q12 of reference/time.md, with a keeper that lets every part go
at its time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pushcast.config.classes import Class
from pushcast.model.quiet import DAYS, Quiet, QuietTerms, spread_after
from pushcast.model.user import QuietHours
from pushcast.model.words import Lane, Reason, Source
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.headers import origin
from pushcast.wire.schemas import avro_type
from pushcast.wire.waiting.facts import Facts, decode_facts
from pushcast.wire.waiting.held import held_headers, held_of
from twins.holding import ANN, World, ms

NIGHT = (QuietHours(DAYS, "22:00", "07:00"),)
EVENING = "2026-12-01T21:30:00Z"  # 22:30 in Berlin


def world(now: str = EVENING, promo: Class | None = None, **fields: Any) -> World:
    made = World(now, promo=promo or Class(window_seconds=0), **fields)
    made.device("berlin", "Europe/Berlin")
    made.wishes(quiet_hours=NIGHT)
    return made


@pytest.mark.parametrize(
    ("now", "arrives", "reasons"),
    [
        ("2026-12-01T20:59:59.999Z", "01T20:59Z", [""]),
        ("2026-12-01T21:00:00.000Z", "02T06:00Z", ["quiet_hours", ""]),
        ("2026-12-02T05:59:59.999Z", "02T06:00Z", ["quiet_hours", ""]),
        ("2026-12-02T06:00:00.000Z", "02T06:00Z", [""]),
    ],
)
async def test_q1_what_comes_in_quiet_hours_is_held_to_their_end(now: str, arrives: str, reasons: list[str]) -> None:
    it = world(now)
    await it.send(klass="promo")
    await it.release_all()
    assert it.arrived == {"berlin": arrives}
    assert it.reasons == reasons


async def test_the_held_row_says_so_and_the_release_has_an_account_of_its_own() -> None:
    it = world()
    await it.send(klass="promo")
    [held] = it.harness.planned_records()
    assert (held.facts[0].held, held.reason) == (1, ["quiet_hours"])
    await it.release_all()
    [batch] = it.harness.batches()
    assert batch.source == Source.DUE
    assert batch.messages[0].notes.due_at == [ms("2026-12-02T06:00Z")], "late counts from there"
    assert batch.messages[0].targets.expires_at == [ms("2026-12-02T21:30Z")], "a hold lengthens no expiry"


async def test_q5_what_expires_before_they_are_over_ends_at_once_without_a_row() -> None:
    it = world()
    await it.send(klass="promo", expires_at="2026-12-02T05:00:00Z")
    assert (it.kept, it.ends) == ([], [("expired", "quiet_hours")])


async def test_q6_a_class_of_the_urgent_lane_ignores_them_whatever_the_topic_and_any_other_does_not() -> None:
    it = World(EVENING, breaking=Class(window_seconds=0, lane=Lane.URGENT), promo=Class(window_seconds=0))
    it.device("berlin", "Europe/Berlin")
    it.wishes(quiet_hours=NIGHT)
    await it.send(1, klass="breaking")
    assert it.arrived == {"berlin": "01T21:30Z"}
    await it.send(2, klass="promo")
    assert it.reasons == ["", "quiet_hours"]


async def test_q6_an_event_overrides_them_only_when_its_class_allows_that() -> None:
    it = world()
    await it.send(klass="promo", options={"override": ["quiet_hours"]})
    assert it.harness.dead_letters() == [("invalid_field", 3)]
    allowed = world(promo=Class(window_seconds=0, may_override=("quiet_hours",)))
    await allowed.send(klass="promo", options={"override": ["quiet_hours"]})
    assert allowed.arrived == {"berlin": "01T21:30Z"}


async def test_q7_a_class_may_drop_what_comes_in_quiet_hours() -> None:
    it = world(promo=Class(window_seconds=0, quiet="drop"))
    await it.send(klass="promo")
    assert (it.kept, it.ends) == ([], [("suppressed", "quiet_hours")])


async def test_q7_a_device_that_was_left_out_does_not_get_it_with_a_later_one() -> None:
    """When quiet hours were over, the part for another zone took it along, hours late."""
    it = world(promo=Class(window_seconds=0, quiet="drop"))
    it.device("fiji", "UTC-11:00")
    await it.send(klass="promo", deliver_local_at="2026-12-01T21:00")
    await it.release_all()
    assert "berlin" not in it.arrived
    assert (set(it.arrived), it.ends) == ({"fiji"}, [])


async def test_q7_where_all_are_left_out_one_after_the_other_it_ends_so() -> None:
    it = world(promo=Class(window_seconds=0, quiet="drop"))
    it.device("york", "America/New_York")
    await it.send(klass="promo", deliver_local_at="23:00")
    await it.release_all()
    assert (it.arrived, it.ends) == ({}, [("suppressed", "quiet_hours")])


async def test_q7_or_send_it_without_sound_on_the_devices_that_are_in_them() -> None:
    it = world(promo=Class(window_seconds=0, quiet="passive"), app={"silent_channel_id": "hush"})
    it.device("york", "America/New_York")
    await it.send(klass="promo", options={"sound": "goal.caf"})
    assert it.arrived == {"berlin": "01T21:30Z", "york": "01T21:30Z"}
    [batch] = it.harness.batches()
    by_device = {name: message.options for message in batch.messages for name in message.targets.device}
    assert (by_device["york"].sound, by_device["york"].interruption_level) == ("goal.caf", None)
    quiet = by_device["berlin"]
    assert (quiet.sound, quiet.interruption_level, quiet.channel_id) == (None, "passive", "hush")
    assert sum(row[2] for row in it.harness.planned()) == 2


async def test_q7_or_gather_it_until_they_are_over() -> None:
    it = world(promo=Class(window_seconds=0, quiet="digest"), spread_seconds=300)
    for number in (1, 2, 3):
        await it.send(number, klass="promo", title=f"t{number}")
    held = [held_of(sent.headers) for sent in it.kept]
    close = ms("2026-12-02T06:00Z") + spread_after(ANN, 300_000)
    assert [(each.due_at, decode_facts(each.facts)) for each in held] == [
        (close, Facts(Reason.DIGEST, "promo", ms("2026-12-02T21:30Z"), None, title=f"t{number}"))
        for number in (1, 2, 3)
    ]
    assert it.reasons == ["digest"] * 3


async def test_the_push_of_such_a_digest_is_held_where_it_is_still_night() -> None:
    it = world(promo=Class(window_seconds=0, quiet="digest"))
    await it.send(klass="promo", id="digest-push")
    [sent] = it.kept
    late = held_of(sent.headers)._replace(passed=Reason.DIGEST.value, facts=b"")
    late = late._replace(due_at=it.harness.now_ms)
    cast(Any, sent.headers)[:] = held_headers(origin("plan-normal", 3, 1), 0, late, None)
    await it.release()
    assert it.reasons == ["digest", "quiet_hours"]
    await it.release_all()
    assert it.arrived == {"berlin": "02T06:00Z"}


async def test_where_a_device_is_awake_it_gets_it_and_the_others_wait_without_a_digest() -> None:
    it = world(promo=Class(window_seconds=0, quiet="digest"))
    it.device("york", "America/New_York")
    await it.send(klass="promo")
    await it.release_all()
    assert it.arrived == {"york": "01T21:30Z", "berlin": "02T06:00Z"}


async def test_q5_what_would_expire_in_a_digest_of_the_night_ends_at_once() -> None:
    it = world(promo=Class(window_seconds=0, quiet="digest"))
    await it.send(klass="promo", expires_at="2026-12-02T05:00:00Z")
    assert (it.kept, it.ends) == ([], [("expired", "quiet_hours")])


async def test_q8_each_device_in_its_own_zone_and_none_twice() -> None:
    it = world()
    it.device("york", "America/New_York")
    await it.send(klass="promo")
    await it.release_all()
    assert it.arrived == {"york": "01T21:30Z", "berlin": "02T06:00Z"}
    assert set(it.twice.values()) == {1}


async def test_q12_a_user_leaves_at_an_instant_of_its_own_and_what_comes_meanwhile_does_not_overtake() -> None:
    it = world(spread_seconds=300)
    own = spread_after(ANN, 300_000)
    await it.send(1, klass="promo")
    it.move_to("2026-12-02T06:00:00Z")
    assert own > 0
    await it.send(2, klass="promo")
    await it.release_all()
    due = [each.notes.due_at for batch in it.harness.batches() for each in batch.messages]
    assert due == [[ms("2026-12-02T06:00Z") + own], [ms("2026-12-02T06:00Z") + own]]
    assert [name for _, name, _, _ in it.harness.targets()] == ["n-1", "n-2"]


async def test_the_hours_of_an_app_are_for_users_who_have_chosen_none() -> None:
    app = {"quiet_hours": [{"from": "22:00", "to": "07:00"}]}
    it = World(EVENING, promo=Class(window_seconds=0), app=app)
    it.device("berlin", "Europe/Berlin")
    await it.send(1, klass="promo")
    assert it.reasons == ["quiet_hours"]
    it.wishes(quiet_hours=(QuietHours(DAYS, "12:00", "13:00"),))
    await it.send(2, klass="promo")
    assert it.arrived == {"berlin": "01T21:30Z"}


async def test_a_device_without_a_zone_is_where_its_user_says_or_was_last_or_where_the_app_is() -> None:
    it = World(EVENING, promo=Class(window_seconds=0), app={"time_zone": "Europe/Berlin"})
    it.device("nowhere", None)
    it.wishes(quiet_hours=NIGHT, time_zone="America/New_York")
    await it.send(1, klass="promo")
    assert it.arrived == {"nowhere": "01T21:30Z"}, "the user says New York"
    it.arrived.clear()
    it.wishes(quiet_hours=NIGHT)
    it.device("york", "America/New_York")
    await it.send(2, klass="promo")
    assert it.arrived == {"nowhere": "01T21:30Z", "york": "01T21:30Z"}
    assert it.harness.counters["zones_assumed", ""] == 1
    it.device("york", "Mars/Gone")
    await it.send(3, klass="promo")
    assert it.reasons[-1] == "quiet_hours", "the app says Berlin; a zone that tzdata has no more is none"


async def test_q9_a_message_takes_the_quiet_hours_of_its_devices_along_for_later_tries() -> None:
    it = world("2026-12-01T12:00:00Z")
    it.device("york", "America/New_York")
    await it.send(klass="promo")
    [batch] = it.harness.batches()
    terms = {name: message.quiet for message in batch.messages for name in message.targets.device}
    assert terms == {
        "berlin": QuietTerms(Quiet.HOLD, "Europe/Berlin", NIGHT),
        "york": QuietTerms(Quiet.HOLD, "America/New_York", NIGHT),
    }


async def test_hours_that_are_changed_while_it_is_held_count_when_it_is_released() -> None:
    it = world()
    await it.send(klass="promo")
    it.wishes(quiet_hours=(QuietHours(DAYS, "22:00", "09:00"),))
    await it.release()
    assert it.arrived == {}
    await it.release()
    assert it.arrived == {"berlin": "02T08:00Z"}


async def test_a_local_time_within_them_waits_for_their_end() -> None:
    it = world("2026-12-01T12:00:00Z")
    await it.send(klass="promo", deliver_local_at="23:00")
    await it.release_all()
    assert it.arrived == {"berlin": "02T06:00Z"}
    assert it.reasons == ["scheduled", "quiet_hours", ""]


def test_q6_an_override_is_said_in_avro_as_in_json() -> None:
    rules = {"default": ClassRule(60_000, may_override=frozenset({"quiet_hours"}))}
    decode = NotificationDecoder({"news"}, rules).decode
    event = {"id": "n", "app": "news", "title": "t", "more": {"override": ["quiet_hours"]}}
    assert decode("u", avro_type("notification").encode(event), ms(EVENING)).override == ("quiet_hours",)
