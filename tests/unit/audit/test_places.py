from __future__ import annotations

from dataclasses import replace

import pytest

from pushcast.audit.accounts import AccountKey
from pushcast.audit.places import PLACES, Search, refused_in
from pushcast.config.settings import Settings
from pushcast.handover.standing import Standing, encode
from pushcast.model.words import Lane, Platform
from pushcast.runtime.hosted import specs_of
from pushcast.runtime.roles import ROLES
from pushcast.settle.reads import GROUP, SOURCES
from pushcast.wire import groups, topics
from pushcast.wire import headers as h
from pushcast.wire.sending.batches import encode_batch
from unit.send.twin import message, send_batch

BATCH = encode_batch(send_batch(message(2, first_user=0), lane="urgent"))  # of source offsets 7 and 8


def test_a_delivery_is_where_its_record_is_unfinished() -> None:
    search = Search({AccountKey("urgent", 0, 7, "n"), AccountKey("bulk", 0, 7, "n"), AccountKey("urgent", 0, 9, "n")})
    search.record(topics.retry("5m"), 0, [], BATCH)
    search.record(topics.PARKED, 0, [], BATCH)
    assert search.found == {AccountKey("urgent", 0, 7, "n"): "retry"}, "the first place found"
    assert not search.over


def test_a_search_is_over_when_everything_has_a_place() -> None:
    search = Search({AccountKey("urgent", 0, 7, "n"), AccountKey("urgent", 0, 8, "n")})
    search.record(topics.send(Platform.APNS, Lane.URGENT), 0, [], BATCH)
    assert search.found == {AccountKey("urgent", 0, 7, "n"): "lag", AccountKey("urgent", 0, 8, "n"): "lag"}
    assert search.over


def test_void_records_fences_and_junk_are_no_place() -> None:
    search = Search({AccountKey("urgent", 0, 7, "n")})
    origin = h.origin("settle-parked", 3, 5)
    search.record(topics.PARKED, 0, [*origin, (h.FENCE, b"1")], None)
    search.record(topics.PARKED, 1, h.origin("settle-parked", 3, 4), BATCH)
    search.record(topics.PARKED, 2, [(h.ORIGIN, b"x")], BATCH)
    search.record(topics.PARKED, 3, [], b"junk")
    assert search.found == {}
    search.record(topics.PARKED, 4, origin, BATCH)
    assert search.found == {AccountKey("urgent", 0, 7, "n"): "parked"}


def test_the_groups_are_those_of_the_stages() -> None:
    assert GROUP == groups.SETTLE
    assert {topic for group, topic, _ in PLACES if group == GROUP} == set(SOURCES)
    app = {"fcm": {"service_account_file": "f", "project_id": "p"}, "expo": {}}
    settings = Settings.model_validate({"apps": {"news": app}})
    hosted = {spec.group for role in ROLES for spec in specs_of(role, settings, list(Lane), [Platform.FCM])}
    assert {groups.REGISTER, groups.SETTLE, groups.poll(Platform.EXPO)} <= hosted
    for lane in Lane:
        assert {groups.plan(lane), groups.send(Platform.FCM, lane)} <= hosted


def test_a_record_of_another_source_or_of_another_notification_is_no_place() -> None:
    search = Search({AccountKey("urgent", 2, 7, "n"), AccountKey("urgent", 0, 7, "other")})
    search.record(topics.PARKED, 0, [], BATCH)
    assert search.found == {}
    from_due = encode_batch(replace(send_batch(message(1, first_user=0), lane="urgent"), source=2))
    search.record(topics.PARKED, 1, [], from_due)
    assert search.found == {AccountKey("urgent", 2, 7, "n"): "parked"}


def test_what_left_a_sender_that_may_not_write_is_named_and_what_waits_behind_it_is_lag() -> None:
    """Rulings I.16."""
    send = topics.send(Platform.APNS, Lane.URGENT)
    search = Search(
        {AccountKey("urgent", 0, 7, "n"), AccountKey("urgent", 0, 8, "n"), AccountKey("urgent", 0, 9, "n")}, {send: 5}
    )
    search.record(send, 4, [], encode_batch(send_batch(message(1, first_user=0), lane="urgent")))
    search.record(send, 5, [], BATCH)
    assert search.found == {
        AccountKey("urgent", 0, 7, "n"): "sent, receipt not written",
        AccountKey("urgent", 0, 8, "n"): "lag",
    }


@pytest.mark.parametrize("behind", ["", "garbage", "\ufffd{", "}"])
def test_how_far_a_refused_sender_has_sent_is_read_from_its_commit_whatever_follows_it(behind: str) -> None:
    told = encode(Standing(positions={topics.RECEIPT: 7}, refused={topics.RECEIPT: 101, topics.PARKED: 101}))
    assert refused_in(told + behind) == {topics.RECEIPT: 101, topics.PARKED: 101}
    assert refused_in(encode(Standing(positions={topics.RECEIPT: 7})) + behind) == {}


@pytest.mark.parametrize("text", ["", "garbage", "{", "7", '{"v":99}', '{"unknown":1}'])
def test_metadata_of_somebody_else_says_nothing(text: str) -> None:
    assert refused_in(text) == {}
