"""PLAN on a twin of Kafka: what becomes of records, and when they are done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pushcast.config.classes import Class
from pushcast.config.stages import Plan
from pushcast.handover.exact import Inexact
from pushcast.model.ids import device_row_key, partition_of
from pushcast.observe.tracing import PlannedBatch
from pushcast.stream.batch import TP
from pushcast.stream.errors import OutboxFailed
from pushcast.wire import topics
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.row_writer import RowWriter
from pushcast.wire.headers import APPENDED, EPOCH, FORWARDED, ORIGIN, Headers, origin
from pushcast.wire.newer import NewerSchema
from twins.kafka import TwinOutbox, settled
from twins.plan import PARTITIONS, TOPIC, PlanHarness, note, users_of

T2000 = 946_684_800_000
USERS = users_of(3, 1200)
ANN, BOB, CEE = USERS[:3]


async def test_an_event_becomes_a_target_for_each_device_and_a_planned_record() -> None:
    harness = PlanHarness()
    harness.device(ANN, "phone")
    harness.device(ANN, "tablet", platform="fcm")
    await harness.feed((ANN, note()))
    await harness.acknowledge()
    assert sorted(harness.targets()) == [(0, "n-1", ANN, "phone"), (0, "n-1", ANN, "tablet")]
    (planned,) = harness.planned_records()
    assert (planned.platforms["apns"], planned.platforms["fcm"], planned.other) == ([1], [1], [0])
    assert harness.committable == 1


async def test_an_app_given_reaches_that_app_alone_and_none_given_reaches_all() -> None:
    harness = PlanHarness()
    for app in ("news", "chat"):
        harness.device(ANN, app=app)
    await harness.feed((ANN, note(1, app="news")), (ANN, note(2)))
    await harness.acknowledge()
    apps = [(message.app, message.notification_ids) for batch in harness.batches() for message in batch.messages]
    assert apps == [("news", ["n-1", "n-2"]), ("chat", ["n-2"])]


async def test_a_record_is_done_only_after_its_outputs_and_then_its_planned_record() -> None:
    harness = PlanHarness()
    harness.device(ANN, "phone")
    harness.device(ANN, "tablet", platform="fcm")
    await harness.feed((ANN, note()))
    assert [produced.topic for _, produced in harness.outbox.pending] == [
        "push.send.apns.normal.v1",
        "push.send.fcm.normal.v1",
    ]
    harness.outbox.acknowledge(1)
    await settled()
    assert len(harness.outbox.pending) == 1
    harness.outbox.acknowledge()
    await settled()
    assert [produced.topic for _, produced in harness.outbox.pending] == [topics.PLANNED]
    assert harness.committable == 0
    harness.outbox.acknowledge()
    assert harness.committable == 1


class Owner(Inexact):
    def origin(self, tp: TP) -> Headers:
        return origin("plan-normal", tp.partition, 7)


async def test_outputs_name_their_origin_and_go_to_the_partition_they_came_from() -> None:
    harness = PlanHarness(partition=5, exact=Owner())
    user, other = users_of(5, 2)
    harness.device(user)
    await harness.feed((user, note()), (other, note(2, expires_at=T2000, created_at=T2000)))
    await harness.acknowledge()
    assert {each.partition for each in harness.outbox.log} == {5}
    assert {dict(each.headers)[ORIGIN] for each in harness.outbox.log} == {b"plan-normal/5"}
    assert {dict(each.headers)[EPOCH] for each in harness.outbox.log} == {b"7"}


async def test_the_same_notification_twice_vanishes_and_says_so() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    harness.device(BOB)
    await harness.feed((ANN, note()), (ANN, note()), (BOB, note()))
    await harness.feed((ANN, note()))
    await harness.acknowledge()
    assert sorted(harness.targets()) == [(0, "n-1", ANN, "d"), (2, "n-1", BOB, "d")]
    assert sorted(harness.planned()) == [
        (0, "n-1", 1, ""),
        (1, "n-1", 0, "duplicate"),
        (2, "n-1", 1, ""),
        (3, "n-1", 0, "duplicate"),
    ]
    assert harness.receipts() == []
    assert harness.committable == 4


async def test_g4_the_same_id_with_another_content_vanishes_and_says_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.plan.intake.mark_of", lambda key: 1 + (b"other" in key))
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note()), (ANN, note(title="other")), (ANN, note()))
    await harness.acknowledge()
    assert sorted(harness.planned()) == [(0, "n-1", 1, ""), (1, "n-1", 0, "id_reused"), (2, "n-1", 0, "duplicate")]
    assert (harness.counters["suppressed", "id_reused"], harness.counters["suppressed", "duplicate"]) == (1, 1)


async def test_what_has_expired_gets_a_receipt_and_no_target() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    now = harness.now_ms
    await harness.feed((ANN, note(1, created_at=now - 10, expires_at=now)), (ANN, note(2, expires_at=now + 1)))
    await harness.acknowledge()
    assert [(each["notification_id"], each["outcome"], each["reason"]) for each in harness.receipts()] == [
        ("n-1", "expired", "expired")
    ]
    assert [offset for offset, *_ in harness.targets()] == [1]
    assert sorted(harness.planned()) == [(0, "n-1", 1, "expired"), (1, "n-2", 1, "")]


async def test_what_is_now_or_never_is_planned_until_ten_seconds_after_its_creation() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    in_time, late = harness.now_ms - 9_999, harness.now_ms - 10_000
    await harness.feed(
        *[(ANN, note(number, created_at=at, expires_at=at)) for number, at in enumerate((in_time, late))]
    )
    await harness.acknowledge()
    assert [(each["notification_id"], each["outcome"]) for each in harness.receipts()] == [("n-1", "expired")]
    assert [offset for offset, *_ in harness.targets()] == [0]


async def test_a_flood_of_expired_records_shares_its_planned_records() -> None:
    harness = PlanHarness()
    now = harness.now_ms
    await harness.feed(*[(user, note(1, created_at=T2000, expires_at=now)) for user in USERS[:1200]])
    await harness.acknowledge()
    assert len(harness.receipts()) == 1200
    assert [len(planned) for planned in harness.planned_records()] == [500, 500, 200]
    assert harness.committable == 1200


async def test_a_young_event_of_a_user_without_devices_is_looked_up_once_more() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note(1)), (BOB, note(2)))
    await harness.pass_time(1.9)
    assert harness.outbox.pending == []
    harness.device(ANN)
    await harness.pass_time(0.2)
    await harness.acknowledge()
    assert [(each["user"], each["outcome"], each["reason"]) for each in harness.receipts()] == [
        (BOB, "suppressed", "no_devices")
    ]
    assert [user for _, _, user, _ in harness.targets()] == [ANN]
    assert sorted(harness.planned()) == [(0, "n-1", 1, ""), (1, "n-2", 1, "no_devices")]
    assert harness.committable == 2


async def test_an_event_that_expires_while_it_waits_for_devices_is_expired() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note(expires_at=harness.now_ms + 1000)))
    harness.device(ANN)
    await harness.pass_time(2)
    await harness.acknowledge()
    assert [each["reason"] for each in harness.receipts()] == ["expired"]
    assert harness.targets() == []


async def test_an_old_event_of_a_user_without_devices_is_suppressed_at_once() -> None:
    harness = PlanHarness()
    batch = harness.batch((ANN, note()))
    harness.clock.advance(5)
    await harness.stage.handle(batch)
    await harness.acknowledge()
    assert [each["reason"] for each in harness.receipts()] == ["no_devices"]
    assert harness.committable == 1


async def test_suspended_devices_are_no_devices() -> None:
    harness = PlanHarness(Plan(lookup_again_seconds=0))
    harness.device(ANN, state="suspended")
    await harness.feed((ANN, note()))
    await harness.acknowledge()
    assert [each["reason"] for each in harness.receipts()] == ["no_devices"]


async def test_a_row_nobody_can_read_is_counted_and_its_neighbours_are_served() -> None:
    harness = PlanHarness()
    harness.device(ANN, "good")
    harness.table.rows[3][f"{ANN}\0news\0bad".encode()] = b"?"
    await harness.feed((ANN, note()))
    await harness.acknowledge()
    assert [device for *_, device in harness.targets()] == ["good"]
    assert harness.counters["unreadable_rows", "unknown_frame"] == 1


async def test_a_record_in_a_wrong_partition_is_forwarded_as_it_came() -> None:
    harness = PlanHarness()
    stranger = users_of(6, 1)[0]
    foreign = harness.raw(stranger.encode(), b'{"id": "n", "title": "t"}', [("x", b"y")])
    await harness.feed(foreign)
    assert harness.committable == 0
    await harness.acknowledge()
    (sent,) = harness.outbox.log
    assert (sent.topic, sent.partition, sent.key, sent.value) == (TOPIC, 6, foreign.key, foreign.value)
    assert sent.headers == [("x", b"y"), (FORWARDED, b"3"), (APPENDED, b"%d" % foreign.timestamp)]
    assert sent.timestamp_ms == foreign.timestamp
    assert harness.planned() == []
    assert harness.committable == 1


async def test_a_record_that_was_forwarded_before_is_a_dead_letter_that_says_how_to_mend_the_producer() -> None:
    harness = PlanHarness()
    stranger = users_of(6, 1)[0]
    await harness.feed(harness.raw(stranger.encode(), b'{"id": "n", "title": "t"}', [(FORWARDED, b"1")]))
    await harness.acknowledge()
    assert harness.dead_letters() == [("wrong_partition", 3)]
    assert b"murmur2_random" in (dict(harness.outbox.log[0].headers)["__streams.errors.message"] or b"")
    assert harness.committable == 1


async def test_a_record_that_grows_too_large_by_forwarding_is_a_dead_letter() -> None:
    harness = PlanHarness(outbox=TwinOutbox(limits={TOPIC: 60}))
    stranger = users_of(6, 1)[0]
    await harness.feed(harness.raw(stranger.encode(), b'{"id": "n", "title": "ttttttttttttttttttttttttt"}'))
    await harness.acknowledge()
    assert harness.dead_letters() == [("too_large", 3)]
    assert harness.committable == 1


async def test_a_user_with_devices_in_a_partition_of_another_is_still_served() -> None:
    harness = PlanHarness()
    stranger = users_of(6, 1)[0]
    harness.device(stranger)
    await harness.feed((stranger, note()))
    await harness.acknowledge()
    assert len(harness.targets()) == 1


BAD = [
    (None, b"{}", "key_missing"),
    (b"", b"{}", "key_missing"),
    (b"\xff", b"{}", "key_not_utf8"),
    (b"a\0b", b"{}", "key_invalid"),
    (b"k" * 257, b"{}", "key_invalid"),
    (b"u", None, "tombstone"),
    (b"u", b"{", "not_json"),
    (b"u", b"nonsense", "unknown_frame"),
    (b"u", b"\xc3\x01" + bytes(8), "unknown_schema"),
    (b"u", b'{"id": "n", "titel": "t"}', "unknown_field"),
    (b"u", b'{"id": "n"}', "invalid_field"),
    (b"u", b'{"id": "n", "title": "t", "created_at": 2, "expires_at": 1}', "invalid_field"),
    (b"u", b'{"id": "n", "title": "t", "app": "nope"}', "unknown_app"),
    (b"u", b'{"id": "n", "title": "t", "class": "nope"}', "unknown_class"),
    (b"u", b'{"id": "n", "title": "' + b"t" * 5_000 + b'"}', "payload_too_large"),
    (b"u", b'{"id": "n", "title": "t", "platforms": {"expo": {"x": "' + b"t" * 70_000 + b'"}}}', "too_large"),
]


@pytest.mark.parametrize(("key", "value", "reason"), BAD, ids=[reason for *_, reason in BAD])
async def test_bad_input_is_a_dead_letter_with_its_reason_and_the_stream_goes_on(
    key: bytes | None, value: bytes | None, reason: str
) -> None:
    harness = PlanHarness()
    harness.device(ANN)
    good = harness.raw(ANN.encode(), b'{"id": "n", "title": "t"}', index=1)
    await harness.feed(harness.raw(key, value), good)
    await harness.acknowledge()
    assert harness.dead_letters() == [(reason, 3)]
    letter = next(each for each in harness.outbox.log if each.topic.endswith(".dlq"))
    assert (letter.key, letter.value) == (key, value)
    assert len(harness.targets()) == 1
    assert harness.committable == 2
    assert harness.counters["dead_letters", reason] == 1


async def test_a_dead_letter_is_done_when_it_is_acknowledged_and_not_before() -> None:
    harness = PlanHarness()
    await harness.feed(harness.raw(None, b"{}"))
    assert harness.committable == 0
    harness.outbox.acknowledge()
    assert harness.committable == 1


async def test_a_window_closes_at_its_time() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, **{"class": "chat"})))
    await harness.pass_time(0.049)
    assert harness.outbox.pending == []
    await harness.pass_time(0.001)
    assert len(harness.outbox.pending) == 1


async def test_a_window_of_zero_closes_with_its_batch_of_records() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    harness.device(BOB)
    await harness.feed((ANN, note(1)), (BOB, note(2)))
    await harness.acknowledge()
    assert [batch.target_count for batch in harness.batches()] == [2]
    assert harness.timers.waiting == []


async def test_a_full_window_closes_before_its_time() -> None:
    harness = PlanHarness(Plan(max_targets=2))
    for user in USERS[:3]:
        harness.device(user)
    await harness.feed(*[(user, note(1, **{"class": "hour"})) for user in USERS[:3]])
    await harness.acknowledge()
    assert [batch.target_count for batch in harness.batches()] == [2]
    assert harness.committable == 2


async def test_windows_close_when_the_partition_holds_too_many_records() -> None:
    harness = PlanHarness(Plan(max_open_records=100))
    for user in USERS[:101]:
        harness.device(user)
    await harness.feed(*[(user, note(1, **{"class": "hour"})) for user in USERS[:99]])
    assert harness.outbox.pending == []
    await harness.feed(*[(user, note(1, **{"class": "hour"})) for user in USERS[99:101]])
    await harness.acknowledge()
    assert [batch.target_count for batch in harness.batches()] == [100]
    assert harness.committable == 100


async def test_revoking_flushes_windows_and_second_look_ups_and_waits_for_kafka() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, **{"class": "hour"})), (BOB, note(2)), harness.raw(None, b"", index=2))
    revoking = asyncio.create_task(harness.stage.revoking({harness.tp}))
    await settled()
    assert not revoking.done()
    assert harness.timers.waiting == []
    await harness.acknowledge()
    await revoking
    assert harness.committable == 3
    assert [user for _, _, user, _ in harness.targets()] == [ANN]
    assert [each["reason"] for each in harness.receipts()] == ["no_devices"]
    assert harness.dead_letters() == [("key_missing", 3)]


async def test_revoking_a_flood_of_second_look_ups_never_overfills_the_outbox() -> None:
    harness = PlanHarness(outbox=TwinOutbox(max_records=600))
    await harness.feed(*[(user, note(1)) for user in USERS])
    await harness.revoke()
    assert len(harness.receipts()) == 1200
    assert harness.committable == 1200


async def test_a_partition_that_comes_back_starts_afresh() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1)))
    await harness.revoke()
    await harness.feed((ANN, note(1)))
    await harness.acknowledge()
    assert [offset for offset, *_ in harness.targets()] == [0, 1]


async def test_revoking_leaves_other_partitions_alone() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, **{"class": "chat"})))
    await harness.stage.revoking(set())
    assert harness.outbox.pending == []
    await harness.pass_time(0.05)
    assert len(harness.outbox.pending) == 1


async def test_a_batch_handed_over_again_after_an_error_plans_nothing_twice() -> None:
    harness = PlanHarness()
    for user in USERS:
        harness.device(user)
    batch = harness.batch(*[(user, note(1)) for user in USERS], harness.raw(None, b"", index=1200))
    table, calls = harness.table, 0
    scan = table.multi_scan

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("the disk is away")
        return scan(*arguments)

    table.multi_scan = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="away"):
        await harness.stage.handle(batch)
    batch.records = batch.unfinished()
    await harness.stage.handle(batch)
    await harness.acknowledge()
    assert len(harness.targets()) == len(set(harness.targets())) == 1200
    assert [row for row in harness.planned() if row[3] == "duplicate"] == []
    assert harness.dead_letters() == [("key_missing", 3)]
    assert harness.committable == 1201


async def test_nothing_is_taken_while_the_outbox_has_no_room() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    harness.outbox.full = True
    handling = asyncio.create_task(harness.stage.handle(harness.batch((ANN, note()))))
    await settled()
    assert not handling.done()
    assert harness.table.scans == 0
    harness.outbox.let_in()
    await handling
    assert len(harness.outbox.pending) == 1


async def test_a_window_that_closes_while_the_outbox_has_no_room_waits_and_is_written_once() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, **{"class": "chat"})))
    harness.outbox.full = True
    await harness.pass_time(0.05)
    revoking = asyncio.create_task(harness.stage.revoking({harness.tp}))
    await settled()
    assert harness.outbox.pending == []
    harness.outbox.let_in()
    await settled()
    await harness.acknowledge()
    await revoking
    assert len(harness.targets()) == 1


async def test_an_outbox_beyond_repair_during_a_timer_ends_the_process() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, **{"class": "chat"})))

    def broken(*_: Any, **__: Any) -> None:
        raise OutboxFailed("fenced")

    harness.outbox.put = broken  # type: ignore[method-assign]
    await harness.pass_time(0.05)
    assert [str(error) for error in harness.fatal] == ["fenced"]


async def test_figures_count_what_was_taken_and_written() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    harness.device(BOB, platform="fcm")
    await harness.feed((ANN, note(1)), (BOB, note(2)), (BOB, note(2)), harness.raw(None, b"", index=3))
    await harness.acknowledge()
    assert harness.counters == {
        ("consumed", ""): 4,
        ("batches", "apns"): 1,
        ("batches", "fcm"): 1,
        ("targets", "apns"): 1,
        ("targets", "fcm"): 1,
        ("suppressed", "duplicate"): 1,
        ("dead_letters", "key_missing"): 1,
    }


def test_the_users_of_these_tests_belong_where_they_are_fed() -> None:
    assert {partition_of(user.encode(), PARTITIONS) for user in USERS} == {3}


async def test_a_revoked_partition_begins_no_turn_although_one_was_waiting_for_room() -> None:
    harness = PlanHarness(classes={"default": Class(window_seconds=0.05)})
    harness.device(ANN)
    batch = await harness.feed((ANN, note()))
    harness.outbox.full = True
    await harness.pass_time(1)  # the window is due, and its turn waits for the outbox
    assert not harness.outbox.pending
    revoking = asyncio.create_task(harness.stage.revoking({harness.tp}))
    await settled()
    harness.outbox.let_in()
    await harness.acknowledge()
    await revoking
    assert len(harness.batches()) == 1
    assert batch.unfinished() == []
    assert harness.fatal == []


NEWER_ROW = b"\xc3\x01tomorrow"


def newer_row(harness: PlanHarness, user: str) -> bytes:
    """A row that a later release wrote; returns its key."""
    key = device_row_key(user, "news", "d")
    harness.table.rows[harness.partition][key] = NEWER_ROW
    return key


async def test_a_user_with_a_row_of_a_later_release_is_waited_for_and_what_came_before_is_planned() -> None:
    """Rulings I.7: planned without that row, the device would never get it."""
    harness = PlanHarness()
    harness.device(ANN)
    newer_row(harness, BOB)
    harness.device(CEE)
    batch = harness.batch((ANN, note(1)), (BOB, note(2)), (CEE, note(3)))
    for _ in range(2):
        with pytest.raises(NewerSchema, match=b"tomorrow".hex()):
            await harness.stage.handle(batch)
    await harness.acknowledge()
    assert [target[1] for target in harness.targets()] == ["n-1"]
    assert [each.offset for each in batch.unfinished()] == [1, 2]
    harness.device(BOB)
    await harness.stage.handle(batch)
    await harness.acknowledge()
    assert sorted(target[1] for target in harness.targets()) == ["n-1", "n-2", "n-3"]
    assert harness.committable == 3


async def test_a_row_of_a_later_release_that_comes_before_the_second_look_is_waited_for() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note()))
    newer_row(harness, ANN)
    for _ in range(3):
        await harness.pass_time(2.5)
    assert (harness.targets(), harness.receipts(), harness.committable) == ([], [], 0)
    harness.device(ANN)
    await harness.pass_time(2.5)
    await harness.acknowledge()
    assert (len(harness.targets()), harness.committable) == (1, 1)


async def test_a_partition_goes_although_such_a_user_waits_for_the_second_look() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note()))
    newer_row(harness, ANN)
    await asyncio.wait_for(harness.stage.revoking({harness.tp}), 5)
    assert (harness.outbox.log, harness.committable) == ([], 0)


async def test_rows_of_the_release_before_are_planned_and_counted() -> None:
    """Rulings I.36 and I.39."""
    harness = PlanHarness()
    harness.device(ANN)
    key = device_row_key(ANN, "news", "d")
    row = decode_row(harness.table.rows[harness.partition][key])
    harness.table.rows[harness.partition][key] = RowWriter(1).encode(row)
    await harness.feed((ANN, note(1)), (BOB, note(2)))
    await harness.acknowledge()
    assert [target[1] for target in harness.targets()] == ["n-1"]
    assert harness.counters["earlier_rows", "pushcast-plan-normal|push.device.v1"] == 1


async def test_o1_a_changed_ttl_holds_for_notifications_that_come_from_then_on() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1)))
    classes = {**harness.settings.classes, "default": Class(window_seconds=0, ttl_seconds=60)}
    harness.stage.reload(harness.settings.model_copy(update={"classes": classes}))
    await harness.feed((ANN, note(2)))
    await harness.acknowledge()
    expiries = {
        note_id: message.targets.expires_at[index]
        for batch in harness.batches()
        for message in batch.messages
        for index, note_id in enumerate(message.notification_ids)
    }
    assert expiries["n-1"] - expiries["n-2"] == (86_400 - 60) * 1000


async def test_a_canary_of_a_reporter_is_planned_and_one_of_anybody_else_is_refused() -> None:
    users = (f"canary:news{number}:apns" for number in range(99))
    canary = next(user for user in users if partition_of(user.encode(), PARTITIONS) == 3)
    harness = PlanHarness()
    harness.device(canary)
    await harness.feed((canary, note(1, id="canary-news-apns-1")), (ANN, note(2, id="canary-news-apns-2")))
    await harness.acknowledge()
    assert [note_id for _, note_id, _, _ in harness.targets()] == ["canary-news-apns-1"]


async def test_a_batch_is_traced_when_kafka_has_it_with_the_traceparents_of_its_events() -> None:
    harness = PlanHarness()
    harness.traced = []
    harness.stage = harness.new_stage()
    for user in ("ann", "bob"):
        harness.device(user)
    await harness.feed(("ann", {"id": "n-1", "title": "a", "trace": "00-1"}), ("bob", {"id": "n-2", "title": "a"}))
    await harness.pass_time(0.0)
    assert harness.traced == [], "Kafka has not acknowledged it"
    closed_at = harness.now_ms
    harness.clock.advance(0.5)
    await harness.acknowledge()
    batch = PlannedBatch("push.notification.normal.v1", "apns", 2, closed_at, closed_at + 500)
    assert harness.traced == [(batch, ["00-1", ""])]
