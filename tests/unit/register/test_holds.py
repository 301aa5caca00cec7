"""Suspensions: held, then removed, or lifted when the provider was not to be believed."""

from __future__ import annotations

import math
from base64 import urlsafe_b64encode
from typing import Any

import orjson
import pytest

from pushcast.model.ids import partition_of, token_hash
from pushcast.model.words import Platform
from pushcast.register.context import REASON, STEP
from pushcast.register.holding import GRACE_SECONDS, PULSE_SECONDS, SILENT_SECONDS, WAITING_SECONDS
from pushcast.stream.batch import TP
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.control.control import BreakerRecord, Kind, Reached, Subject, encode, reached
from pushcast.wire.devices.addresses import SubscriptionAddress, canonical_address
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.headers import CE_ID, first
from pushcast.wire.topics import DEVICE, TOKEN_HOLD, TOKEN_INVALID
from unit.register.twin import HOLD_SECONDS, PARTITIONS, T0, Harness, TwinKafka, record

TOKEN = "ab12" * 16
USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def register(device: str = "d-1", token: str = TOKEN, at: int = T0 - 1000) -> bytes:
    event = {"op": "register", "app": "news", "device": device, "platform": "apns", "token": token, "at": at}
    return orjson.dumps(event)


def invalid(device: str = "d-1", since: int | None = T0 - 10, at: int = T0 - 5, **fields: object) -> bytes:
    event = TokenInvalid(
        "user-1",
        "news",
        device,
        "apns",
        token_hash(TOKEN.encode()),
        "device_unregistered",
        410,
        since,
        T0 - 6,
        at,
        "0" * 32,
    )
    return encode_token_invalid(event._replace(**fields))  # type: ignore[arg-type]


async def suspended(harness: Harness, *devices: str) -> None:
    names = devices or ("d-1",)
    await harness.change(*[(USER, register(device)) for device in names])
    await harness.feed(TOKEN_INVALID, *[(USER, invalid(device)) for device in names])
    await harness.follow_holds(HOME)


def states(harness: Harness) -> dict[str, str]:
    return {key.decode().split("\0")[2]: decode_row(value).state for key, value in harness.row_values("user-1").items()}


def told(harness: Harness) -> list[tuple[str, str]]:
    """(step, reason) of the records of the hold topic."""
    return [
        ((first(each.headers, STEP) or b"").decode(), (first(each.headers, REASON) or b"").decode())
        for each in harness.kafka.log[TOKEN_HOLD, HOME]
    ]


async def test_a_suspended_device_is_removed_when_its_hold_is_over_and_not_before() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.pass_time(HOLD_SECONDS - 1)
    assert states(harness) == {"d-1": "suspended"}
    assert harness.committable(TOKEN_HOLD, HOME) == 0
    await harness.pass_time(1)
    assert states(harness) == {}
    tombstone = harness.kafka.log[DEVICE, HOME][-1]
    assert first(tombstone.headers, STEP) == b"removed"
    assert first(tombstone.headers, REASON) == b"device_unregistered"
    assert first(tombstone.headers, CE_ID) == f"{TOKEN_HOLD}/{HOME}/0".encode()
    assert told(harness) == [("suspended", "device_unregistered"), ("removed", "device_unregistered")]
    assert harness.counters["removals", "device_unregistered"] == 1
    await harness.follow_holds(HOME)
    assert harness.committable(TOKEN_HOLD, HOME) == 2


async def test_a_clock_that_jumps_removes_nothing_early() -> None:
    harness = Harness()
    harness.clock.jump_wall(3600)
    await suspended(harness)
    harness.clock.jump_wall(86_400)
    await harness.pass_time(HOLD_SECONDS - 1)
    assert states(harness) == {"d-1": "suspended"}


async def test_a_registration_during_the_hold_lifts_the_suspension_and_the_hold_changes_nothing() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.change((USER, register(at=T0 - 9)))
    assert states(harness) == {"d-1": "active"}
    await harness.pass_time()
    assert states(harness) == {"d-1": "active"}
    assert harness.counters["holds_over", "active"] == 1
    assert harness.committable(TOKEN_HOLD, HOME) == 1


async def test_a_replayed_registration_from_before_the_verdict_saves_nothing() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.change((USER, register(at=T0 - 10)))
    assert states(harness) == {"d-1": "suspended"}
    await harness.pass_time()
    assert states(harness) == {}


@pytest.mark.parametrize(
    ("app", "host", "at", "state"),
    [
        ("news", "push.example", T0 - 5, {"d-1": "active"}),
        ("news", "push.example", T0 - 6, {}),
        ("chat", "push.example", T0, {}),
        ("news", "other.example", T0, {}),
    ],
    ids=["answered", "answered before the verdict", "another app's", "another host"],
)
async def test_a_push_service_that_answers_after_it_was_given_up_gets_its_devices_back(
    app: str, host: str, at: int, state: dict[str, str]
) -> None:
    """Rulings I.9: put back by the first success."""
    key = base64url(b"\4" + bytes(64))
    subscription: dict[str, Any] = {"endpoint": "https://push.example/x", "p256dh": key, "auth": base64url(bytes(16))}
    address = canonical_address(Platform.WEBPUSH, None, None, SubscriptionAddress(**subscription))[1]
    event = {"op": "register", "app": "news", "device": "d-1", "platform": "webpush", "subscription": subscription}
    harness = Harness()
    await harness.change((USER, orjson.dumps({**event, "at": T0 - 1000})))
    verdict = invalid(platform="webpush", token_hash=token_hash(address), reason="endpoint_unreachable")
    await harness.feed(TOKEN_INVALID, (USER, verdict))
    await harness.follow_holds(HOME)
    assert states(harness) == {"d-1": "suspended"}
    harness.control.apply(reached(app, host).key(), encode(Reached(at)))
    await harness.pass_time()
    assert states(harness) == state
    assert told(harness)[-1] == (("lifted", "endpoint_answered") if state else ("removed", "endpoint_unreachable"))


async def test_a_breaker_that_opens_lifts_every_suspension_of_its_app_and_platform_at_once() -> None:
    harness = Harness()
    await suspended(harness, "d-1", "d-2")
    other = register("d-3").replace(b'"news"', b'"chat"')
    await harness.change((USER, other))
    await harness.feed(TOKEN_INVALID, (USER, invalid("d-3", app="chat")))
    await harness.follow_holds(HOME)
    await harness.announce("open", T0 - 100, T0, None)
    assert states(harness) == {"d-1": "active", "d-2": "active", "d-3": "suspended"}
    assert told(harness)[-2:] == [("lifted", "breaker_opened")] * 2
    await harness.pass_time()
    assert states(harness) == {"d-1": "active", "d-2": "active"}


async def test_an_opening_and_closing_from_before_the_verdict_heard_late_and_together_ends_no_hold_early() -> None:
    harness = Harness()
    await suspended(harness)
    subject = Subject(Kind.BREAKER, "news", Platform.APNS)
    since, opened = T0 - 5000, T0 - 4000
    harness.control.apply(subject.key(), encode(BreakerRecord("open", "provider_failing", since, opened)))
    harness.control.apply(subject.key(), encode(BreakerRecord("closed", "provider_failing", since, opened, T0 - 1000)))
    await harness.pass_time(HOLD_SECONDS - 1)
    assert states(harness) == {"d-1": "suspended"}
    assert harness.committable(TOKEN_HOLD, HOME) == 0
    await harness.pass_time(1)
    assert states(harness) == {}
    assert told(harness)[-1] == ("removed", "device_unregistered")


@pytest.mark.parametrize("closed", [None, T0 + 60_000])
async def test_a_verdict_from_the_abnormal_window_suspends_nothing_even_after_it(closed: int | None) -> None:
    harness = Harness()
    await harness.change((USER, register()))
    await harness.announce("open", T0 - 100, T0 - 50, None)
    if closed is not None:
        await harness.announce("closed", T0 - 100, T0 - 50, closed)
    await harness.feed(TOKEN_INVALID, (USER, invalid(at=T0 - 5)))
    assert states(harness) == {"d-1": "active"}
    assert harness.counters["kept_tokens", "doubted"] == 1
    assert not harness.kafka.log[TOKEN_HOLD, HOME]


async def test_a_verdict_after_the_window_counts_again() -> None:
    harness = Harness()
    await harness.change((USER, register()))
    await harness.announce("open", T0 - 100, T0 - 50, None)
    await harness.announce("closed", T0 - 100, T0 - 50, T0 - 20)
    await harness.feed(TOKEN_INVALID, (USER, invalid(at=T0 - 5)))
    assert states(harness) == {"d-1": "suspended"}


async def test_a_window_that_this_process_did_not_see_open_lifts_what_was_suspended_before_it_opened() -> None:
    first_life = Harness()
    await suspended(first_life)
    survivor = Harness(TwinKafka(log=first_life.kafka.log))
    survivor.kafka.tail(HOME)
    survivor.control.live = False
    await survivor.announce("closed", T0 + 100, T0 + 200, T0 + 300)
    survivor.control.live = True
    await survivor.follow_holds(HOME)
    assert states(survivor) == {"d-1": "active"}


async def test_a_verdict_handled_again_before_its_hold_was_written_is_held_once_more_and_ends_once() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.feed(TOKEN_INVALID, (USER, invalid()))
    await harness.follow_holds(HOME)
    assert [step for step, _ in told(harness)] == ["suspended", "suspended"]
    await harness.pass_time()
    assert [step for step, _ in told(harness)] == ["suspended", "suspended", "removed"]
    assert harness.counters["holds_over", "unknown"] == 1
    assert harness.committable(TOKEN_HOLD, HOME) == 2


async def test_a_hold_is_done_only_when_its_end_is_acknowledged() -> None:
    harness = Harness()
    await suspended(harness)
    harness.kafka.acks = False
    await harness.pass_time()
    assert harness.committable(TOKEN_HOLD, HOME) == 0
    harness.kafka.acknowledge()
    assert harness.committable(TOKEN_HOLD, HOME) == 1


async def test_a_successor_begins_the_hold_again_and_ends_it() -> None:
    harness = Harness()
    await suspended(harness)
    successor = Harness(TwinKafka(log=harness.kafka.log))
    successor.kafka.tail(HOME)
    await successor.follow_holds(HOME)
    await successor.pass_time(HOLD_SECONDS - 1)
    assert states(successor) == {"d-1": "suspended"}
    await successor.pass_time(1)
    assert states(successor) == {}


async def test_holds_go_with_their_partition() -> None:
    harness = Harness()
    await suspended(harness)
    assert harness.holds_waiting == 1
    await harness.stage.revoking({TP(TOKEN_HOLD, HOME)})
    await harness.pass_time()
    assert states(harness) == {"d-1": "suspended"}
    assert harness.holds_waiting == 0
    assert harness.timers.waiting == []


async def test_a_batch_that_is_handed_over_again_holds_each_device_once() -> None:
    harness = Harness()
    await harness.change((USER, register()))
    await harness.feed(TOKEN_INVALID, (USER, invalid()))
    batch = harness.batch(harness.kafka.log[TOKEN_HOLD, HOME])
    await harness.stage.handle(batch)
    await harness.stage.handle(batch)
    assert harness.holds_waiting == 1


async def test_records_of_the_hold_topic_that_nobody_of_ours_wrote_are_dead_letters() -> None:
    harness = Harness()
    foreign = [
        record(TOKEN_HOLD, HOME, 0, USER, invalid()),
        record(TOKEN_HOLD, HOME, 1, USER, b"{}", [(STEP, b"suspended")]),
        record(TOKEN_HOLD, HOME, 2, USER, None, [(STEP, b"suspended")]),
        record(TOKEN_HOLD, HOME, 3, USER, invalid(platform="pager"), [(STEP, b"suspended")]),
        record(TOKEN_HOLD, HOME, 4, USER, invalid(reason=""), [(STEP, b"suspended")]),
    ]
    await harness.feed(TOKEN_HOLD, *foreign)
    dead = harness.kafka.log[f"{TOKEN_HOLD}.dlq", HOME]
    reasons = [(first(each.headers, "push.errors.reason") or b"").decode() for each in dead]
    assert reasons == ["invalid_field", "unknown_frame", "tombstone", "invalid_field", "invalid_field"]
    assert harness.committable(TOKEN_HOLD, HOME) == 5


async def test_an_unexpected_error_at_the_end_of_a_hold_is_fatal() -> None:
    harness = Harness()
    await suspended(harness)

    def broken(partition: int, prefixes: object) -> Any:
        raise RuntimeError("disk")

    harness.kafka.tail(HOME)
    harness.kafka.multi_scan = broken  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        await harness.pass_time()
    assert [str(error) for error in harness.failures] == ["disk"]


async def test_an_assignment_starts_without_the_holds_of_the_one_before() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.take_over(HOME)
    assert harness.holds_waiting == 0


async def test_holds_of_a_doubted_provider_that_come_later_end_at_once_and_the_others_wait_on() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.change((USER, register("d-2").replace(b'"news"', b'"chat"')))
    await harness.feed(TOKEN_INVALID, (USER, invalid("d-2", app="chat")))
    await harness.announce("open", T0 - 100, T0, None)
    copy = harness.kafka.log[TOKEN_HOLD, HOME][0]
    harness.kafka.append(copy)
    await harness.follow_holds(HOME)
    assert harness.holds_waiting == 1
    assert states(harness) == {"d-1": "active", "d-2": "suspended"}
    assert harness.counters["holds_over", "active"] == 1


async def test_no_hold_ends_while_kafka_is_away_nor_before_an_announcement_could_have_come_afterwards() -> None:
    harness = Harness()
    await suspended(harness)
    await harness.pass_time(HOLD_SECONDS - PULSE_SECONDS)
    harness.work.silent_seconds = SILENT_SECONDS + 1
    await harness.pass_time(PULSE_SECONDS)
    assert states(harness) == {"d-1": "suspended"}
    await harness.pass_time(10 * HOLD_SECONDS)
    harness.work.silent_seconds = 0.0
    assert states(harness) == {"d-1": "suspended"}
    await harness.pass_time(GRACE_SECONDS - 1)
    assert states(harness) == {"d-1": "suspended"}
    await harness.pass_time(PULSE_SECONDS)
    assert states(harness) == {}


async def test_no_hold_ends_while_the_control_topic_alone_cannot_be_heard() -> None:
    harness = Harness()
    await suspended(harness)
    harness.control.current_at = 0.0  # heartbeats go on
    await harness.pass_time(10 * HOLD_SECONDS)
    assert states(harness) == {"d-1": "suspended"}
    harness.control.current_at = math.inf
    await harness.pass_time(GRACE_SECONDS - 1)
    assert states(harness) == {"d-1": "suspended"}
    await harness.pass_time(2 * PULSE_SECONDS)
    assert states(harness) == {}


async def test_an_announcement_that_had_waited_for_kafka_still_rescues() -> None:
    harness = Harness()
    await suspended(harness)
    harness.work.silent_seconds = 10 * SILENT_SECONDS
    await harness.pass_time(2 * HOLD_SECONDS)
    harness.work.silent_seconds = 0.0
    await harness.announce("open", T0 - 100, T0, None)
    assert states(harness) == {"d-1": "active"}


async def test_a_hold_waits_while_only_a_later_release_can_read_its_row() -> None:
    """Rulings I.7: the row is neither removed nor lifted by somebody who cannot read it, and other holds end."""
    harness = Harness()
    await suspended(harness, "d-1", "d-2")
    readable = harness.row_values("user-1")[b"user-1\0news\0d-1"]
    harness.kafka.append(record(DEVICE, HOME, 0, b"user-1\0news\0d-1", b"\xc3\x01tomorrow"))
    harness.kafka.tail(HOME)
    await harness.pass_time(HOLD_SECONDS + 1)
    assert list(harness.row_values("user-1")) == [b"user-1\0news\0d-1"]
    assert harness.holds_waiting == 1
    harness.kafka.append(record(DEVICE, HOME, 0, b"user-1\0news\0d-1", readable))
    harness.kafka.tail(HOME)
    await harness.pass_time(WAITING_SECONDS + 1)
    assert (harness.row_values("user-1"), harness.holds_waiting) == ({}, 0)
