"""The stage on a Kafka twin with the real tracker: rows, order, completion, hand-over."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from pushcast.model.ids import partition_of, token_hash, user_row_key
from pushcast.model.user import UserRow
from pushcast.register.agent import CHUNK_RECORDS
from pushcast.register.context import REASON, STEP
from pushcast.stream.batch import TP, Committed
from pushcast.stream.retrying import RETRIED
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.user_rows import decode_user_row, encode_user_row
from pushcast.wire.headers import APPENDED, CE_ID, ORIGIN, TRACEPARENT, first
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_HOLD, TOKEN_INVALID
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka, record

TOKEN = b"ab12" * 16
USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)


def register(
    device: str = "d-1", token: str = TOKEN.decode().upper(), at: int = T0 - 1000, app: str = "news", **more: Any
) -> bytes:
    event = {"op": "register", "app": app, "device": device, "platform": "apns", "token": token, "at": at, **more}
    return orjson.dumps(event)


def unregister(device: str = "d-1", at: int = T0 - 500, app: str = "news") -> bytes:
    return orjson.dumps({"op": "unregister", "app": app, "device": device, "at": at})


def forget(at: int = T0 - 500) -> bytes:
    return orjson.dumps({"op": "forget_user", "at": at})


def invalid(token: bytes = TOKEN, device: str = "d-1", since: int | None = T0) -> bytes:
    event = TokenInvalid(
        "user-1", "news", device, "apns", token_hash(token), "device_unregistered", 410, since, T0, T0, "0" * 32
    )
    return encode_token_invalid(event)


async def test_a_registration_becomes_a_row_of_the_devices_topic_in_the_users_partition() -> None:
    harness = Harness()
    await harness.change((USER, register(locale="de-DE", topics=["team/arsenal"])))
    [row] = harness.kafka.log[DEVICE, HOME]
    assert row.key == b"user-1\0news\0d-1"
    decoded = decode_row(row.value or b"")
    assert (decoded.address, decoded.token_hash, decoded.topics) == (
        TOKEN,
        token_hash(TOKEN),
        ("team/arsenal",),
    )
    assert first(row.headers, CE_ID) == f"{DEVICE_CHANGED}/{HOME}/0".encode()
    assert first(row.headers, ORIGIN) == f"register/{HOME}".encode()
    assert harness.committable(DEVICE_CHANGED, HOME) == 1


async def test_a_trace_travels_from_the_event_to_the_row() -> None:
    harness = Harness()
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await harness.change(record(DEVICE_CHANGED, HOME, 0, USER, register(), [(TRACEPARENT, trace)]))
    assert first(harness.kafka.log[DEVICE, HOME][0].headers, TRACEPARENT) == trace


async def test_handling_the_same_events_again_writes_nothing() -> None:
    harness = Harness()
    events = [(USER, register()), (USER, register("d-2", "cd34" * 16))]
    await harness.change(*events)
    before = harness.row_values("user-1")
    await harness.change(*events)
    harness.kafka.tail(HOME)
    await harness.change(*events)
    assert harness.row_values("user-1") == before
    assert len(harness.kafka.log[DEVICE, HOME]) == 2
    assert harness.counters["registrations", "unchanged"] == 4


async def test_changes_of_one_device_in_one_batch_see_each_other() -> None:
    harness = Harness(TwinKafka(acks=False))
    await harness.change(
        (USER, register(at=T0 - 30)),
        (USER, unregister(at=T0 - 20)),
        (USER, register(token="cd34" * 16, at=T0 - 10)),
        (USER, register(token="ef56" * 16, at=T0 - 15)),
    )
    harness.kafka.acknowledge()
    [row] = harness.row_values("user-1").values()
    assert decode_row(row).address == b"cd34" * 16
    assert harness.counters["registrations", "outdated"] == 1


async def test_an_apns_token_in_upper_case_is_the_same_device_and_token() -> None:
    harness = Harness()
    await harness.change((USER, register(token=TOKEN.decode())), (USER, register(token=TOKEN.decode().upper())))
    assert harness.counters == {("registrations", "written"): 1, ("registrations", "unchanged"): 1}


async def test_forgetting_a_user_removes_rows_of_the_table_and_rows_in_flight() -> None:
    harness = Harness()
    await harness.change((USER, register("d-1")), (USER, register("d-2", app="chat")))
    harness.kafka.tail(HOME)
    await harness.change((USER, register("d-3")), (USER, register("d-4", at=T0 - 100)), (USER, forget(at=T0 - 500)))
    assert list(harness.row_values("user-1")) == [b"user-1\0news\0d-4"]
    tombstones = [row for row in harness.kafka.log[DEVICE, HOME] if row.value is None]
    assert [row.key for row in tombstones] == [b"user-1\0chat\0d-2", b"user-1\0news\0d-1", b"user-1\0news\0d-3"]
    assert {first(row.headers, "push-reason") for row in tombstones} == {b"user_forgotten"}


async def test_unregistering_or_forgetting_what_is_unknown_is_no_error() -> None:
    harness = Harness()
    await harness.change((USER, unregister()), (USER, forget()))
    assert harness.row_values("user-1") == {}
    assert harness.counters == {("unregistrations", "unknown"): 1, ("users_forgotten", "unknown"): 1}
    assert harness.committable(DEVICE_CHANGED, HOME) == 2


@pytest.mark.parametrize("tailed", [False, True])
async def test_fact_35_an_unregistration_stands_against_an_earlier_registration_that_comes_late(tailed: bool) -> None:
    harness = Harness()

    async def happens(event: bytes) -> list[bytes]:
        await harness.change((USER, event))
        if tailed:
            harness.kafka.tail(HOME)
        return list(harness.row_values("user-1"))

    assert await happens(unregister(at=T0 - 10)) == []
    assert await happens(register(at=T0 - 15)) == []
    assert await happens(register(at=T0 - 10)) == []
    assert harness.counters["registrations", "outdated"] == 2
    assert await happens(register(at=T0 - 9)) == [b"user-1\0news\0d-1"]
    assert await happens(unregister(at=T0 - 5)) == []
    [marker] = harness.gone_rows("user-1").values()
    assert (marker.registered_at, marker.removed_at, marker.platform) == (T0 - 5, T0, "apns")
    assert (marker.address, marker.token_hash, marker.topics) == (b"", b"", ())


async def test_fact_35_a_forgotten_user_does_not_come_back_with_a_late_event() -> None:
    harness = Harness()
    await harness.change((USER, register("d-1", at=T0 - 20)), (USER, unregister("d-2", at=T0 - 20)))
    await harness.change((USER, forget(at=T0 - 10)))
    await harness.change((USER, register("d-1", at=T0 - 15)), (USER, register("d-9", at=T0 - 15)))
    await harness.change((USER, unregister("d-3", at=T0 - 12)))
    harness.kafka.tail(HOME)
    await harness.change((USER, register("d-2", at=T0 - 10)))
    left = harness.kafka.compacted(HOME)
    assert list(left) == [b"user-1\0\0"]
    assert decode_user_row(left[b"user-1\0\0"]) == UserRow(forgotten_at=T0 - 10)
    await harness.change((USER, register("d-2", at=T0 - 9)))
    assert list(harness.row_values("user-1")) == [b"user-1\0news\0d-2"]


async def test_forgetting_a_user_erases_preferences_from_before_it_and_keeps_later_ones() -> None:
    harness = Harness()
    for app, at in (("", T0 - 5), ("news", T0 - 20), ("chat", T0 - 5)):
        row = UserRow(at=at, classes={"digest": "off"})
        harness.kafka.append(record(DEVICE, HOME, 0, user_row_key("user-1", app), encode_user_row(row)))
    harness.kafka.tail(HOME)
    await harness.change((USER, forget(at=T0 - 10)))
    left = {key: decode_user_row(value) for key, value in harness.kafka.compacted(HOME).items()}
    assert set(left) == {b"user-1\0\0", b"user-1\0chat\0"}
    assert (left[b"user-1\0\0"].forgotten_at, left[b"user-1\0\0"].classes) == (T0 - 10, {"digest": "off"})


async def test_a_device_is_unregistered_by_its_token() -> None:
    harness = Harness()
    await harness.change((USER, register("d-1")), (USER, register("d-2", "cd34" * 16)))
    by_token = {"op": "unregister", "app": "news", "platform": "apns", "token": "CD34" * 16, "at": T0 - 500}
    await harness.change((USER, orjson.dumps(by_token)), (USER, orjson.dumps({**by_token, "token": "ef" * 32})))
    assert list(harness.row_values("user-1")) == [b"user-1\0news\0d-1"]
    assert harness.counters["unregistrations", "removed"] == 1
    assert harness.counters["unregistrations", "unknown"] == 1


async def test_topics_are_added_and_removed_one_by_one() -> None:
    harness = Harness()

    def topics(at: int, **said: list[str]) -> tuple[bytes, bytes]:
        return USER, orjson.dumps({"op": "topics", "app": "news", "device": "d-1", "at": at, **said})

    def followed() -> tuple[str, ...]:
        [row] = harness.row_values("user-1").values()
        return decode_row(row).topics

    await harness.change((USER, register(at=T0 - 30, topics=["a", "b"])), topics(T0 - 20, add=["c"], remove=["a"]))
    assert followed() == ("b", "c")
    await harness.change(topics(T0 - 25, add=["late"]), (USER, register(at=T0 - 22, topics=["x"])))
    assert followed() == ("b", "c")
    await harness.change((USER, register(at=T0 - 10, topics=["x"])), topics(T0 - 5, add=["x", "y"]))
    assert followed() == ("x", "y")
    assert harness.counters["topic_changes", "written"] == 2
    assert harness.counters["topic_changes", "outdated"] == 1


async def test_a_201st_topic_is_a_dead_letter_that_names_field_and_limit() -> None:
    harness = Harness()
    await harness.change((USER, register(topics=[f"t-{number}" for number in range(200)])))
    event = {"op": "topics", "app": "news", "device": "d-1", "add": ["one-more"], "at": T0 - 5}
    await harness.change((USER, orjson.dumps(event)))
    [letter] = harness.kafka.log[f"{DEVICE_CHANGED}.dlq", HOME]
    told = {name: value for name, value in letter.headers if name.startswith("push.errors.")}
    assert (told["push.errors.reason"], told["push.errors.field"]) == (b"invalid_field", b"add")
    assert b"201 topics; at most 200" in (first(letter.headers, "__streams.errors.message") or b"")


async def test_a_clock_that_is_far_ahead_is_counted_and_one_that_is_not_is_only_clamped() -> None:
    harness = Harness()
    await harness.change((USER, register("d-1", at=T0 + 299_999)), (USER, register("d-2", at=T0 + 300_001)))
    assert {decode_row(row).registered_at for row in harness.row_values("user-1").values()} == {T0}
    assert harness.counters["at_in_future", ""] == 1


async def test_a_moved_record_counts_from_when_it_was_first_appended() -> None:
    harness = Harness()
    moved = record(DEVICE_CHANGED, HOME, 0, USER, register(at=T0 + 50), [(APPENDED, b"%d" % (T0 - 50))], T0)
    await harness.change(moved)
    [row] = [decode_row(value) for value in harness.row_values("user-1").values()]
    assert (row.registered_at, row.first_at) == (T0 - 50, T0 - 50)


@pytest.mark.parametrize("said", [b"%d" % (T0 + 10**9), b"9" * 30, b"9" * 5000, b"-1", b"soon"])
async def test_a_header_that_an_app_made_up_puts_no_registration_after_its_record(said: bytes) -> None:
    """It would outrank whatever comes later, and a number of more than 64 bits ended the registrar again and again."""
    harness = Harness()
    await harness.change(record(DEVICE_CHANGED, HOME, 0, USER, register(at=T0 + 10**9), [(APPENDED, said)], T0))
    [row] = [decode_row(value) for value in harness.row_values("user-1").values()]
    assert (row.registered_at, row.first_at) == (T0, T0)
    assert harness.committable(DEVICE_CHANGED, HOME) == 1


async def test_a_device_that_comes_back_after_its_removal_begins_a_new_life() -> None:
    harness = Harness()
    await harness.change((USER, register(at=T0 - 30, topics=["a"])), (USER, unregister(at=T0 - 20)))
    again = record(DEVICE_CHANGED, HOME, 2, USER, register(at=T0 - 10), timestamp=T0 + 7)
    await harness.change(again)
    [row] = [decode_row(value) for value in harness.row_values("user-1").values()]
    assert (row.first_at, row.topics, row.removed_at) == (T0 + 7, (), None)


async def test_a_device_clock_that_runs_ahead_does_not_outrank_what_happens_later() -> None:
    harness = Harness()
    later = record(DEVICE_CHANGED, HOME, 1, USER, unregister(at=T0 + 5), timestamp=T0 + 5)
    await harness.change((USER, register(at=T0 + 10**9)), later)
    assert harness.row_values("user-1") == {}


async def test_an_invalid_token_is_suspended_with_the_reason_and_held() -> None:
    harness = Harness()
    await harness.change((USER, register()))
    await harness.feed(TOKEN_INVALID, (USER, invalid()))
    [row] = harness.row_values("user-1").values()
    decoded = decode_row(row)
    assert (decoded.state, decoded.suspended_reason) == ("suspended", "device_unregistered")
    [hold] = harness.kafka.log[TOKEN_HOLD, HOME]
    for written in (harness.kafka.log[DEVICE, HOME][-1], hold):
        assert first(written.headers, STEP) == b"suspended"
        assert first(written.headers, REASON) == b"device_unregistered"
        assert first(written.headers, CE_ID) == f"{TOKEN_INVALID}/{HOME}/0".encode()
    assert (hold.key, hold.value) == (USER, invalid())
    assert harness.counters["suspensions", "suspended"] == 1


async def test_a_token_registered_again_after_the_providers_time_stays() -> None:
    harness = Harness()
    await harness.change((USER, register(at=T0 - 100)), (USER, register(at=T0 - 50)))
    await harness.feed(TOKEN_INVALID, (USER, invalid(since=T0 - 60)), (USER, invalid(token=b"cd34" * 16)))
    assert len(harness.row_values("user-1")) == 1
    assert harness.counters["kept_tokens", "registered_later"] == 1
    assert harness.counters["kept_tokens", "other_token"] == 1


async def test_a_batch_is_done_only_when_its_rows_are_acknowledged() -> None:
    harness = Harness(TwinKafka(acks=False))
    await harness.change((USER, register("d-1")), (USER, register("d-2")))
    assert harness.committable(DEVICE_CHANGED, HOME) == 0
    harness.kafka.acknowledge(1)
    assert harness.committable(DEVICE_CHANGED, HOME) == 0
    harness.kafka.acknowledge()
    assert harness.committable(DEVICE_CHANGED, HOME) == 2


async def test_an_event_that_changes_nothing_because_of_an_unacknowledged_row_waits_for_that_row() -> None:
    harness = Harness(TwinKafka(acks=False))
    await harness.change((USER, register()))
    again = await harness.feed(DEVICE_CHANGED, (USER, register()))
    assert harness.counters["registrations", "unchanged"] == 1
    assert len(again.unfinished()) == 1
    harness.kafka.acknowledge()
    assert harness.committable(DEVICE_CHANGED, HOME) == 2


async def test_a_batch_handled_again_after_an_error_does_not_overtake_its_own_rows() -> None:
    harness = Harness(TwinKafka(acks=False))
    batch = await harness.change((USER, register()))
    await harness.stage.handle(batch)
    assert harness.committable(DEVICE_CHANGED, HOME) == 0
    harness.kafka.acknowledge()
    assert harness.committable(DEVICE_CHANGED, HOME) == 1


async def test_rows_in_flight_are_forgotten_as_the_table_applies_them() -> None:
    harness = Harness()
    await harness.change(*[(USER, register(f"d-{number}")) for number in range(10)])
    assert harness.rows_in_flight == 10
    harness.kafka.tail(HOME, 4)
    assert harness.rows_in_flight == 6
    harness.kafka.tail(HOME)
    assert harness.rows_in_flight == 0


async def test_a_table_that_lags_too_far_behind_stops_the_stage_until_it_catches_up() -> None:
    harness = Harness(max_rows_in_flight=CHUNK_RECORDS)
    events = [(USER, register(f"d-{number}")) for number in range(CHUNK_RECORDS + 1)]
    handling = asyncio.ensure_future(harness.change(*events))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not handling.done()
    assert harness.committable(DEVICE_CHANGED, HOME) == CHUNK_RECORDS
    harness.kafka.tail(HOME)
    await handling
    assert harness.committable(DEVICE_CHANGED, HOME) == CHUNK_RECORDS + 1


async def test_a_partition_without_its_table_is_not_ready() -> None:
    harness = Harness()
    harness.kafka.missing.add(HOME)
    other = TP(DEVICE_CHANGED, HOME + 1)
    await harness.take_over(other.partition)
    with pytest.raises(RETRIED, match=f"no partition .{HOME}."):
        await harness.stage.assigned({TP(DEVICE_CHANGED, HOME): Committed(None, ""), other: Committed(None, "")})


async def test_a_lost_partition_gets_no_more_rows() -> None:
    harness = Harness()
    batch = harness.batch([record(DEVICE_CHANGED, HOME, 0, USER, register())])
    harness.trackers[TP(DEVICE_CHANGED, HOME)].lost = True
    await harness.stage.handle(batch)
    assert not harness.kafka.log


class Undrained:
    """A transport whose records never finish."""

    async def drained(self, partitions: object) -> None:
        raise TimeoutError


@pytest.mark.parametrize("partition", [HOME, HOME + 1])
async def test_revoking_forgets_the_rows_of_the_partitions_that_go_even_when_they_never_finish(partition: int) -> None:
    harness = Harness(TwinKafka(acks=False))
    harness.stage.work = Undrained()  # type: ignore[assignment]
    await harness.change((USER, register()))
    with pytest.raises(TimeoutError):
        await harness.stage.revoking({TP(DEVICE_CHANGED, partition), TP(TOKEN_INVALID, partition)})
    assert harness.rows_in_flight == (0 if partition == HOME else 1)


def with_rows(value: bytes, *devices: str) -> Harness:
    harness = Harness()
    for device in devices:
        harness.kafka.append(record(DEVICE, HOME, 0, f"user-1\0news\0{device}".encode(), value))
    harness.kafka.tail(HOME)
    return harness


async def test_a_row_that_nobody_can_read_is_replaced_or_removed_and_stops_nothing() -> None:
    harness = with_rows(b"junk", "d-1", "d-2", "d-3")
    await harness.feed(TOKEN_INVALID, (USER, invalid(device="d-3")))
    await harness.change((USER, register("d-1")), (USER, unregister("d-2")))
    assert set(harness.row_values("user-1")) == {b"user-1\0news\0d-1", b"user-1\0news\0d-3"}
    assert harness.counters["unreadable_rows", "unknown_frame"] == 3


NEWER_ROW = b"\xc3\x01tomorrow"


@pytest.mark.parametrize("event", [register("d-2"), unregister("d-2"), forget(), invalid(device="d-2")])
async def test_an_event_of_a_row_that_a_later_release_wrote_waits_and_what_came_before_is_done(event: bytes) -> None:
    """Rulings I.7: what that release knew of the device would be lost with an overwritten row."""
    harness = with_rows(NEWER_ROW, "d-2")
    topic = DEVICE_CHANGED if event[:1] == b"{" else TOKEN_INVALID
    first_event = register("d-1") if topic == DEVICE_CHANGED else invalid(device="d-9")
    batch = harness.batch([record(topic, HOME, 0, USER, first_event), record(topic, HOME, 1, USER, event)])
    with pytest.raises(RETRIED, match=b"tomorrow".hex()):
        await harness.stage.handle(batch)
    assert [each.offset for each in batch.unfinished()] == [1]
    assert harness.row_values("user-1")[b"user-1\0news\0d-2"] == NEWER_ROW
