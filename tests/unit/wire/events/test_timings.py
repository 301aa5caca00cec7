"""What producers may say about time: facts S2 to S5, S22 and T3 of reference/time.md."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Notification
from pushcast.model.words import Lane
from pushcast.model.zones import zone_of
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.events.timings import FURTHEST_AHEAD_MS, check_spread
from pushcast.wire.schemas import avro_type
from pushcast.wire.times import MAX_EVENT_MS, rfc3339

DAY_MS = 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def decode(*, ttl_seconds: int = 86_400, **fields: Any) -> Notification:
    decoder = NotificationDecoder((), {"default": ClassRule(ttl_seconds * 1000)})
    event = {"id": "n", "title": "t", "created_at": "2026-12-01T00:00:00Z"} | fields
    return decoder.decode("u", json.dumps(event).encode(), 0)


def refused(**fields: Any) -> tuple[str, str | None]:
    with pytest.raises(InvalidInput) as error:
        decode(**fields)
    return error.value.reason, error.value.field


def test_what_nothing_delays_is_due_when_it_is_created() -> None:
    note = decode()
    assert (note.timing, note.due_at, note.campaign) == (None, note.created_at, None)


def test_s5_the_expiry_counts_from_what_is_due() -> None:
    note = decode(deliver_at="2026-12-24T18:00:00Z", ttl_seconds=3600)
    assert (note.due_at, note.expires_at) == (ms("2026-12-24T18:00:00Z"), ms("2026-12-24T19:00:00Z"))
    assert refused(deliver_at="2026-12-24T18:00:00Z", expires_at="2026-12-24T18:00:00Z") == (
        "invalid_field",
        "expires_at",
    )


@pytest.mark.parametrize(
    ("zone", "last"),
    [("Europe/Berlin", "2026-12-24T08:00:00Z"), ("device", "2026-12-23T19:00:00Z"), ("user", "2026-12-23T19:00:00Z")],
)
def test_s5_an_expiry_before_a_local_time_is_refused_where_it_comes_first(zone: str, last: str) -> None:
    """Ruling II.43. It waited for weeks, and ended as `expired` when it was due."""
    fields: dict[str, Any] = {"deliver_local_at": "2026-12-24T09:00", "time_zone": zone}
    assert refused(**fields, expires_at=last) == ("invalid_field", "expires_at")
    assert decode(**fields, expires_at=ms(last) + 1).expires_at == ms(last) + 1


def test_s5_an_expiry_before_a_local_time_that_was_taken_is_read_again() -> None:
    """Zones may have changed since: its planner says `expired`, which is no mistake of its producer."""
    decoder = NotificationDecoder((), {"default": ClassRule(DAY_MS)}, of_keeper=True)
    event = {"id": "n", "title": "t", "deliver_local_at": "2026-12-24T09:00", "time_zone": "Europe/Berlin"}
    event |= {"created_at": "2026-12-01T00:00:00Z", "expires_at": "2026-12-24T08:00:00Z"}
    assert decoder.decode("u", json.dumps(event).encode(), 0).expires_at == ms("2026-12-24T08:00:00Z")


def test_s5_an_expiry_of_a_local_time_that_is_over_counts_as_it_is() -> None:
    note = decode(deliver_local_at="2026-11-01T09:00", time_zone="UTC", expires_at="2026-12-01T01:00:00Z")
    assert note.expires_at == ms("2026-12-01T01:00:00Z")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"deliver_at": "2026-12-01T00:00:00.001Z"}, "deliver_at"),
        ({"deliver_local_at": "09:00", "time_zone": "Europe/Berlin"}, "deliver_local_at"),
        ({"deliver_local_at": "2026-11-30T13:00"}, "deliver_local_at"),  # which Etc/GMT+12 has not seen yet
        ({"deliver_local_at": "last_active"}, "deliver_local_at"),
    ],
)
def test_now_or_never_at_a_time_ahead_is_refused_because_it_would_be_over_by_then(
    fields: dict[str, Any], field: str
) -> None:
    assert refused(**fields, ttl_seconds=0) == ("invalid_field", field)
    assert refused(**fields, options={"ttl_seconds": 0}) == ("invalid_field", field)
    decode(**fields, ttl_seconds=0, expires_at="2026-12-02T12:00:00Z")


@pytest.mark.parametrize("fields", [{"deliver_at": "2026-12-01T00:00:00Z"}, {"deliver_local_at": "2026-11-30T12:00"}])
def test_now_or_never_at_a_time_that_is_there_is_sent_at_once(fields: dict[str, Any]) -> None:
    note = decode(**fields, ttl_seconds=0)
    assert (note.expires_at, note.is_over(note.created_at + 9_999, 10_000)) == (note.created_at, False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"deliver_at": "2026-12-24T18:00:00"}, "deliver_at"),
        ({"deliver_local_at": "2026-12-24T09:00Z"}, "deliver_local_at"),
        ({"deliver_at": "2026-12-24T18:00:00Z", "deliver_local_at": "09:00"}, "deliver_local_at"),
        ({"deliver_local_at": "25:00"}, "deliver_local_at"),
        ({"deliver_local_at": "0001-01-01T00:00", "time_zone": "Asia/Tokyo"}, "deliver_local_at"),
        ({"created_at": "9999-12-31T23:59:59Z"}, "created_at"),
        ({"created_at": "9999-12-31T23:59:59Z", "deliver_local_at": "09:00"}, "created_at"),
        ({"created_at": MAX_EVENT_MS + 1}, "created_at"),
        ({"deliver_local_at": "09:00", "time_zone": "Mars/X"}, "time_zone"),
        ({"time_zone": "Europe/Berlin"}, "time_zone"),
        ({"deliver_local_at": "09:00", "if_past": "maybe"}, "if_past"),
        ({"deliver_at": "2026-12-24T18:00:00Z", "if_past": "drop"}, "if_past"),
        ({"deliver_local_at": "last_active", "time_zone": "Europe/Berlin"}, "time_zone"),
        ({"deliver_local_at": "last_active", "if_past": "drop"}, "if_past"),
        ({"spread_seconds": 86_401}, "spread_seconds"),
        ({"spread_seconds": -1}, "spread_seconds"),
        ({"campaign": ""}, "campaign"),
        ({"unless_read_seconds": 3_601}, "unless_read_seconds"),
        ({"unless_read_seconds": -1}, "unless_read_seconds"),
        ({"unless_read_seconds": 60, "options": {"ttl_seconds": 60}}, "unless_read_seconds"),
        ({"revision": -1}, "revision"),
    ],
)
def test_s3_what_cannot_be_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    assert refused(**fields) == ("invalid_field", field)


def test_what_is_reckoned_from_the_last_time_of_an_event_can_be_said() -> None:
    decoder = NotificationDecoder((), {"default": ClassRule(28 * DAY_MS)}, max_ahead_ms=FURTHEST_AHEAD_MS)
    event = {"id": "n", "title": "t", "created_at": MAX_EVENT_MS, "deliver_at": MAX_EVENT_MS + FURTHEST_AHEAD_MS}
    note = decoder.decode("u", json.dumps(event | {"spread_seconds": 86_400}).encode(), 0)
    assert rfc3339(note.due_at) < rfc3339(note.expires_at)


@pytest.mark.parametrize(
    "never", ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999+00:00", "9999-12-31T23:59:59.999999Z"]
)
def test_the_last_moment_that_other_systems_know_is_taken_for_never(never: str) -> None:
    assert rfc3339(decode(expires_at=never).expires_at) == "9999-12-31T23:59:59.999Z"
    assert refused(created_at=never) == ("invalid_field", "created_at")
    assert refused(expires_at="9999-12-31T23:59:59.9999999-01:00") == ("invalid_field", "expires_at")


def test_a_records_time_in_microseconds_does_not_stand_in_for_a_creation() -> None:
    decoder = NotificationDecoder((), {"default": ClassRule(DAY_MS)})
    with pytest.raises(InvalidInput, match="in microseconds") as refusal:
        decoder.decode("u", b'{"id": "n", "title": "t"}', ms("2026-12-01T00:00:00Z") * 1000)
    assert refusal.value.field == "created_at"


def test_s4_ninety_days_ahead_and_not_a_millisecond_more() -> None:
    created = ms("2026-11-01T00:00:00Z")
    assert decode(created_at=created, deliver_at=created + 90 * DAY_MS).due_at == created + 90 * DAY_MS
    assert refused(created_at=created, deliver_at=created + 90 * DAY_MS + 1) == ("too_far_ahead", "deliver_at")
    assert refused(created_at=created, deliver_local_at="2027-06-01T09:00", time_zone="UTC") == (
        "too_far_ahead",
        "deliver_local_at",
    )


@pytest.mark.parametrize("local", ["09:00", "9999-12-31T09:00", "last_active"])
@pytest.mark.parametrize("created_at", ["9999-12-31T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_local_time_that_may_lie_beyond_the_last_date_is_refused_before_a_device_is_asked(
    local: str, created_at: str
) -> None:
    assert refused(created_at=created_at, deliver_local_at=local) == ("invalid_field", "created_at")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_local_time_of_the_last_days_that_is_taken_can_be_found_in_every_zone(zone: str) -> None:
    note = decode(created_at=MAX_EVENT_MS, deliver_local_at="00:00", if_past="next_day")
    place = zone_of(zone)
    assert note.timing is not None
    assert place is not None
    due = note.timing.due_in(place, note.created_at)
    assert due is not None
    assert due > note.created_at


def test_a_local_time_before_1970_is_refused_as_an_instant_before_1970_is() -> None:
    assert refused(deliver_local_at="1970-01-01T23:59")[1] == "deliver_local_at"
    assert refused(deliver_at=-1)[1] == "deliver_at"
    assert decode(deliver_local_at="1970-01-02T00:00", time_zone="Pacific/Kiritimati").due_at > 0


def test_s2_what_was_due_an_hour_ago_lives_from_then_on() -> None:
    created = ms("2026-12-01T00:00:00Z")
    note = decode(deliver_at=created - 3_600_000, ttl_seconds=1800)
    assert note.due_at == created - 3_600_000
    assert note.is_over(created, 0)


@pytest.mark.parametrize(
    ("if_past", "due", "expiry"),
    [
        ("send", "2026-12-24T08:00:00Z", "2026-12-25T08:00:00Z"),
        ("next_day", "2026-12-25T08:00:00Z", "2026-12-26T08:00:00Z"),
        ("drop", "2026-12-24T10:00:00Z", "2026-12-24T10:00:00Z"),
    ],
)
def test_s22_what_becomes_of_a_local_time_that_is_over(if_past: str, due: str, expiry: str) -> None:
    note = decode(
        created_at="2026-12-24T10:00:00Z",
        deliver_local_at="2026-12-24T09:00",
        time_zone="Europe/Berlin",
        if_past=if_past,
    )
    assert (note.due_at, note.expires_at) == (ms(due), ms(expiry))


def test_t3_a_spread_within_the_life_of_the_event_or_not_at_all() -> None:
    assert refused(spread_seconds=3600, ttl_seconds=3600) == ("invalid_field", "spread_seconds")
    note = decode(spread_seconds=3599, ttl_seconds=3600)
    assert note.created_at <= note.due_at < note.created_at + 3_599_000
    assert note.expires_at == note.created_at + 3_600_000, "a spread lengthens no life"


def test_t3_nothing_is_spread_on_the_urgent_lane() -> None:
    timing = decode(spread_seconds=60, ttl_seconds=3600).timing
    for lane in (Lane.NORMAL, Lane.BULK):
        check_spread(timing, lane)
    with pytest.raises(InvalidInput) as caught:
        check_spread(timing, Lane.URGENT)
    assert (caught.value.reason, caught.value.field) == ("invalid_field", "spread_seconds")
    check_spread(None, Lane.URGENT)


@pytest.mark.parametrize(
    ("fields", "spread_ms"),
    [
        ({"deliver_local_at": "09:00"}, 60_000),
        ({"deliver_local_at": "2026-12-24T09:00", "time_zone": "Europe/Berlin"}, 60_000),
        ({"deliver_local_at": "last_active"}, 60_000),
        ({"deliver_local_at": "09:00", "spread_seconds": 0}, 0),
        ({"deliver_local_at": "09:00", "spread_seconds": 30}, 30_000),
        ({"deliver_local_at": "09:00", "ttl_seconds": 60}, 0),
        ({"deliver_local_at": "09:00", "ttl_seconds": 61}, 60_000),
        ({"deliver_local_at": "09:00", "ttl_seconds": 70, "unless_read_seconds": 10}, 0),
        ({"deliver_local_at": "2026-12-24T09:00", "expires_at": "2026-12-24T21:01:00Z"}, 0),
        ({"deliver_local_at": "2026-12-24T09:00", "expires_at": "2026-12-24T21:01:00.001Z"}, 60_000),
        ({"deliver_local_at": "2020-12-24T09:00", "if_past": "drop", "time_zone": "Europe/Berlin"}, 0),
        ({"deliver_at": "2026-12-24T09:00:00Z"}, 0),
    ],
)
def test_a7_a_local_time_on_the_lane_bulk_has_a_spread_unless_it_says_one_or_could_expire(
    fields: dict[str, Any], spread_ms: int
) -> None:
    decoder = NotificationDecoder((), {"default": ClassRule(DAY_MS)}, local_spread_ms=60_000)
    event = {"id": "n", "title": "t", "created_at": "2026-12-01T00:00:00Z"}
    options = {"options": {"ttl_seconds": fields.pop("ttl_seconds")}} if "ttl_seconds" in fields else {}
    note = decoder.decode("u", json.dumps({**event, **fields, **options}).encode(), 0)
    assert note.timing is not None
    assert note.timing.spread_ms == spread_ms


def test_t1_a_spread_is_the_same_after_any_restart_and_even_over_users() -> None:
    decoder = NotificationDecoder((), {"default": ClassRule(DAY_MS)})
    event = b'{"id": "n", "title": "t", "created_at": 1800000000000, "spread_seconds": 3600, "campaign": "xmas"}'
    minutes = [0] * 60
    for number in range(36_000):
        minutes[(decoder.decode(f"u{number}", event, 0).due_at - 1_800_000_000_000) // 60_000] += 1
    assert all(500 <= each <= 700 for each in minutes)


def test_avro_says_the_same_as_json() -> None:
    decoder = NotificationDecoder((), {"default": ClassRule(DAY_MS)})
    datum = {
        "id": "n",
        "title": "t",
        "created_at": 1_800_000_000_000,
        "deliver_at": 1_800_000_060_000,
        "campaign": "xmas",
    }
    from_avro = decoder.decode("u", avro_type("notification").encode({"options": None, **datum}), 0)
    from_json = decoder.decode("u", json.dumps(datum).encode(), 0)
    assert from_avro == from_json
    assert (from_json.due_at, from_json.campaign) == (1_800_000_060_000, "xmas")
