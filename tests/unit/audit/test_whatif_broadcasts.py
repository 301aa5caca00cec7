"""Broadcasts of before under another configuration: D10 of reference/time.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from pushcast.audit.rehearsed_fates import Past
from pushcast.audit.rehearsed_walk import BroadcastName
from pushcast.audit.whatif import Comparison, compare
from pushcast.cli.whatif import lines_of_broadcasts
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, token_hash
from pushcast.model.instants import instants_of
from pushcast.model.words import Lane, Reason
from pushcast.wire import topics
from pushcast.wire.control.control import Halt, Kind, Name, encode
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.orders import Order, encode_order
from twins.plan import users_of

PARTITION = 3
USERS = ANN, BEN, CAT = tuple(sorted(users_of(PARTITION, 3)))
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
QUIET = {"quiet_hours": [{"days": EVERY_DAY, "from": "22:00", "to": "07:00"}]}
NAME = BroadcastName("bulk", "b-1")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NIGHT, NOON = ms("2026-12-01T23:00:00Z"), ms("2026-12-01T12:00:00Z")


def settings(app: dict[str, Any] | None = None, **more: Any) -> Settings:
    classes = {"default": {}, "promo": {"lane": "bulk"}, **more.pop("classes", {})}
    return Settings.model_validate({"apps": {"news": app or {}}, "classes": classes, **more})


def rows(*users: str, **changes: Any) -> dict[str, list[tuple[bytes, bytes]]]:
    found = {}
    for user in sorted(users):
        address = user.encode()
        row = DeviceRow("news", "d", "fcm", "token", address, "", token_hash(address), "active", 1, 1, **changes)
        found[user] = [(device_row_key(user, "news", "d"), encode_row(row))]
    return found


def order(at: int, *, reason: str = "", offset: int = 7, intake_offset: int = 3, **fields: Any) -> Past:
    """A broadcast's order in this partition, as SPREAD writes it."""
    event = {"id": "b-1", "app": "news", "class": "promo", "title": "t", "audience": {"all": True}, **fields}
    config = settings()
    decoder = BroadcastDecoder(config.apps, class_rules(config.classes))
    found = decoder.decode(b"b-1", orjson.dumps(event), at)
    note = found.broadcast.note
    instants = instants_of(note, "UTC") if note.timing is not None else ()
    frozen = found.frozen(lambda _: None, 0, instants)
    value = encode_order(Order("b-1", "log", intake_offset, at, found.broadcast.count_only, reason, frozen))
    return Past(topics.walk(Lane.BULK), offset, None, value, (), at)


def event(note_id: str, at: int, user: str = ANN) -> Past:
    value = orjson.dumps({"id": note_id, "app": "news", "class": "promo", "title": "t"})
    return Past(topics.notification(Lane.NORMAL), 0, user.encode(), value, (), at)


async def compared(before: Settings, after: Settings, *past: Past, until_ms: int | None = None) -> Comparison:
    found = Comparison()
    await compare(before, after, PARTITION, past, rows(*USERS), found, until_ms)
    return found


async def test_d10_a_broadcast_in_other_quiet_hours_leaves_later_for_all_of_its_audience() -> None:
    found = await compared(settings(), settings(QUIET), order(NIGHT))
    before, after = found.broadcasts[NAME]
    assert (before.sent, before.waits) == (3, {})
    assert (after.sent, after.waits) == (3, {"quiet_hours": 3})
    assert found.events == 0, "events are counted by themselves"


async def test_d10_a_broadcast_that_a_class_drops_at_night_says_whom_it_would_not_have_reached() -> None:
    dropped = settings(QUIET, classes={"promo": {"lane": "bulk", "quiet": "drop"}})
    found = await compared(settings(QUIET), dropped, order(NIGHT))
    assert found.broadcasts[NAME][1].ends == {"quiet_hours": 3}
    told = found.to_dict()["broadcasts"]
    assert (told["rehearsed"], told["sent_before"], told["sent_after"]) == (1, 3, 0)
    assert told["listed"][0]["after"]["ends"] == {"quiet_hours": 3}
    assert list(lines_of_broadcasts(found)) == [
        "broadcast b-1 (bulk): 3 sent; users that waited: 3 for quiet_hours -> 0 sent, 3 quiet_hours"
    ]


async def test_d10_a_broadcast_and_events_share_the_slots_of_a_cap() -> None:
    capped = settings(caps=[{"name": "one", "classes": ["promo"], "limit": 1, "window_seconds": 86_400}])
    found = await compared(settings(), capped, event("n-1", NOON), order(NOON + 1_000), event("n-2", NOON + 2_000, BEN))
    assert found.broadcasts[NAME][1].sent == 2, "one of them had hers already"
    assert found.broadcasts[NAME][1].ends == {"suppressed frequency_cap": 1}
    assert found.fates == {("1 sent", "1 sent"): 1, ("1 sent", "suppressed frequency_cap"): 1}


async def test_d10_who_is_not_in_the_audience_and_who_is_held_out_gets_nothing_under_either() -> None:
    germans = {"where": {"locale": "de"}}
    assert (await compared(settings(), settings(), order(NOON, audience=germans))).broadcasts[NAME][0].sent == 0
    split = {"holdout": 5_000, "variants": [{"name": "a", "share": 5_000}]}
    for fate in (await compared(settings(), settings(), order(NOON, split=split))).broadcasts[NAME]:
        assert fate.held_out
        assert fate.sent + fate.held_out == 3


async def test_an_order_that_stands_twice_in_the_log_and_a_count_are_walked_once_and_not_at_all() -> None:
    counted = order(NOON, offset=9, intake_offset=4, count_only=True)
    found = await compared(settings(), settings(), order(NOON), order(NOON, offset=8), counted)
    assert found.broadcasts[NAME][0].sent == 3


async def test_a_class_that_the_other_configuration_does_not_have_is_a_dead_letter_there() -> None:
    without = Settings.model_validate({"apps": {"news": {}}, "classes": {"default": {}}})
    found = await compared(settings(), without, order(NOON))
    assert found.broadcasts[NAME][1].ends == {"dead_letter unknown_class": 1}


def halt(kind: Kind, at: int, *, over: bool = False) -> Past:
    """Somebody stops or holds the broadcast; `over`: no longer."""
    value = None if over else encode(Halt(at))
    return Past(topics.CONTROL, 0, Name(kind, "b-1").key(), value, (), at)


PACED: dict[str, Any] = {"pace": {"over_seconds": 3_000}}  # of three users one each thousand seconds


async def test_d10_a_paced_broadcast_goes_at_its_pace_so_that_what_comes_meanwhile_is_before_it() -> None:
    capped = settings(caps=[{"name": "one", "classes": ["promo"], "limit": 1, "window_seconds": 86_400}])
    past = order(NOON, **PACED), event("n-1", NOON + 500_000, CAT), event("n-2", NOON + 500_000, ANN)
    found = await compared(settings(), capped, *past)
    before, after = found.broadcasts[NAME]
    assert (before.sent, before.lasted_seconds) == (3, 2_000)
    assert (after.sent, after.ends) == (2, {"suppressed frequency_cap": 1}), "the last one had hers meanwhile"
    assert found.fates == {("1 sent", "1 sent"): 1, ("1 sent", "suppressed frequency_cap"): 1}


async def test_d10_a_rate_of_a_class_is_kept_by_its_broadcasts() -> None:
    paced = settings(classes={"promo": {"lane": "bulk", "per_minute": 8}})  # of 8 partitions
    found = await compared(settings(), paced, order(NOON))
    before, after = found.broadcasts[NAME]
    assert (before.sent, before.lasted_seconds, after.sent) == (3, 0, 3)
    assert 100 <= after.lasted_seconds <= 180


async def test_d10_of_a_broadcast_that_was_stopped_on_its_way_nothing_more_leaves() -> None:
    found = await compared(settings(), settings(), order(NOON, **PACED), halt(Kind.STOP, NOON + 1_500_000))
    for fate in found.broadcasts[NAME]:
        assert (fate.sent, fate.ends, fate.lasted_seconds) == (2, {"broadcast_stopped": 1}, 1_500)
    assert list(lines_of_broadcasts(found)) == ["broadcast b-1 (bulk): 2 sent, 1 broadcast_stopped, within 1,500 s"]


async def test_d10_a_broadcast_that_was_held_goes_on_when_the_hold_is_over() -> None:
    past = halt(Kind.HOLD, NOON - 1_000), order(NOON), halt(Kind.HOLD, NOON + 60_000, over=True)
    found = await compared(settings(), settings(QUIET), *past)
    for fate in found.broadcasts[NAME]:
        assert (fate.sent, fate.ends, fate.lasted_seconds) == (3, {}, 60)


async def test_d10_a_broadcast_that_is_held_until_it_expires_reaches_nobody() -> None:
    past = halt(Kind.HOLD, NOON - 1_000), order(NOON, options={"ttl_seconds": 600})
    found = await compared(settings(), settings(), *past)
    for fate in found.broadcasts[NAME]:
        assert (fate.sent, fate.ends, fate.lasted_seconds) == (0, {"expired": 3}, 600)
    assert found.to_dict()["broadcasts"]["listed"][0]["before"]["lasted_seconds"] == 600


async def test_another_broadcasts_stop_and_hold_change_nothing() -> None:
    halts = halt(Kind.STOP, NOON - 1), halt(Kind.HOLD, NOON - 1)
    other = [each._replace(key=(each.key or b"").replace(b"b-1", b"b-2")) for each in halts]
    found = await compared(settings(), settings(), *other, order(NOON))
    assert found.broadcasts[NAME][0].sent == 3


async def test_what_is_not_rehearsed_is_told_with_its_number() -> None:
    not_to = order(NOON, not_to={"broadcast": "b-0"})
    waits = order(NOON, offset=8, intake_offset=4, reason=Reason.SCHEDULED, deliver_at=NOON + 3_600_000)
    broken = Past(topics.walk(Lane.BULK), 9, None, b"x", (), NOON)
    found = await compared(settings(), settings(), not_to, waits, broken, until_ms=NOON)
    assert found.left_out == {
        (NAME, "not_to"): 3,
        (NAME, "not_due"): 0,
        (BroadcastName("bulk", "@9"), "unreadable"): 0,
    }
    found.records_left_out["push.cancel.v1"] = 5
    found.rows_left_out = 7
    told = found.to_dict()["not_rehearsed"]
    assert told["broadcasts"] == {"not_to": 1, "not_due": 1, "unreadable": 1}
    assert told["listed"][0] == {"lane": "bulk", "broadcast": "b-1", "why": "not_to", "devices": 3}
    assert (told["records"], told["device_rows"]) == ({"push.cancel.v1": 5}, 7)
    assert list(lines_of_broadcasts(found)) == [
        "not rehearsed: 1 broadcast (not_to), 3 devices of their audience",
        "not rehearsed: 1 broadcast (not_due)",
        "not rehearsed: 1 broadcast (unreadable)",
        "not rehearsed: 5 records of push.cancel.v1, beyond --limit",
        "not rehearsed: broadcasts to 7 device rows, beyond --limit",
    ]


async def test_a_scheduled_broadcast_whose_time_has_come_has_an_order_of_its_own() -> None:
    """The first one says that it waits, and is no broadcast that is left out."""
    waits = order(NOON, reason=Reason.SCHEDULED, deliver_at=NOON + 3_600_000)
    found = await compared(settings(), settings(), waits, until_ms=NOON + 7_200_000)
    assert (found.broadcasts, found.left_out) == ({}, {})
