"""An endpoint over a broker and a receiver of ours: order, standing still, being given up, beginning again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushcast.model.words import Platform
from pushcast.report.notes import Note
from pushcast.report.published import value_of
from pushcast.webhook import cut
from pushcast.webhook.patience import Said
from pushcast.wire import topics
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.control.control import BreakerRecord, CanaryWord, Kind, Pause, Subject, WebhookOrder, encode
from twins.books import receipt
from twins.webhooks import Broker, Receiver, Rig

CONTROL, SUMS = (topics.CONTROL, 0), (topics.REPORT, 0)
ENDED, DEAD_TOKENS = (topics.RECEIPT, 0), (topics.TOKEN_INVALID, 0)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "WAIT_SECONDS", 0.0)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


def log(*notes: str, **more: Any) -> list[bytes | None]:
    return [receipt(note, "u", "d", **more) for note in notes]


def names(receiver: Receiver) -> list[str]:
    return [event["notification"] for event in receiver.events()]


def test_w1_a_failing_endpoint_stands_still_and_then_gets_everything_in_order(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    broker = Broker({ENDED: log(*"abc")}, {ENDED: (0, "")})
    failing, other = Receiver(answers=[Said("http_500")] * 3), Receiver()
    rig, fine = Rig(tmp_path, broker, failing), Rig(tmp_path, Broker({ENDED: log(*"abc")}, {ENDED: (0, "")}), other)
    for each in (rig, fine):
        each.read()
        each.post(runner)
    broker.logs[ENDED] += log(*"de")
    assert rig.endpoint.failures == 1
    rig.post(runner, later=False)
    assert len(failing.requests) == 1, "it waits"
    assert rig.member.read(ENDED, 9) == [], "nothing is read meanwhile"
    for _ in range(6):
        rig.post(runner)
        rig.read()
    assert (names(failing), names(other)) == (list("abcde"), list("abc"))
    assert len({body for _, body in failing.requests[:4]}) == 1, "the same bytes in every try"
    rig.endpoint.spots.commit(rig.member, rig.endpoint.spots.lines)
    rig.endpoint.spots.ask_lag(rig.member)
    assert (rig.endpoint.spots.lag, broker.committed[ENDED][0], rig.endpoint.failures) == (0, 5, 0)


def test_a_request_says_what_it_is_and_holds_at_most_500_events(tmp_path: Path, runner: asyncio.Runner) -> None:
    broker = Broker({ENDED: [None, *log(*map(str, range(600)))]}, {ENDED: (0, "")})
    receiver = Receiver()
    rig = Rig(tmp_path, broker, receiver)
    rig.read()
    rig.post(runner)
    rig.post(runner)
    (first_id, body), (second_id, _) = receiver.requests
    assert (first_id, second_id) == ("crm_0_0_500", "crm_0_501_600")
    told = json.loads(body)
    assert (told["type"], told["data"]["cursor"], len(told["data"]["deliveries"])) == (
        *("deliveries.ended", "0:0-500"),
        500,
    )
    event = told["data"]["deliveries"][0]
    assert (event["user"], event["device"], event["outcome"], event["ended_at"]) == (
        "u",
        "d",
        "accepted",
        told["timestamp"],
    )


def test_w5_a_slow_endpoint_of_many_partitions_polls_before_its_group_takes_it_for_dead(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("pushcast.webhook.endpoint.time.monotonic", lambda: clock[0])

    class Slow(Receiver):
        async def post(self, *request: Any) -> Said:
            clock[0] += 14.0
            return await super().post(*request)

    spots = [(topics.RECEIPT, partition) for partition in range(64)]
    broker = Broker({spot: log(*"abcdefghijklmnopqrstuvwxyz") for spot in spots}, dict.fromkeys(spots, (0, "")))
    receiver = Slow()
    rig = Rig(tmp_path, broker, receiver)
    turns = 0
    while len({request_id for request_id, _ in receiver.requests}) < len(spots):
        for spot in spots:
            rig.read(1, spot)
        began, turns = clock[0], turns + 1
        rig.post(runner)
        assert clock[0] - began < 100, "far below max.poll.interval.ms"
        assert turns < 20, "those that come last get their turn"


def test_an_endpoint_gets_what_it_wants_and_passes_by_the_rest(tmp_path: Path, runner: asyncio.Runner) -> None:
    token = TokenInvalid("u", "news", "d", "fcm", b"h" * 16, "device_unregistered", 404, None, 5, 7, "ab")
    records = [*log("a"), *log("b", outcome="dead"), *log("c", app="shop", outcome="dead"), b"weather"]
    logs: dict[Any, list[bytes | None]] = {ENDED: records, DEAD_TOKENS: [encode_token_invalid(token)]}
    broker, receiver = Broker(logs, {ENDED: (0, ""), DEAD_TOKENS: (0, "")}), Receiver()
    rig = Rig(
        tmp_path, broker, receiver, events=["deliveries.ended", "tokens.invalid"], apps=["news"], outcomes=["dead"]
    )
    for spot in broker.logs:
        rig.read(spot=spot)
    rig.post(runner)
    rig.endpoint.spots.commit(rig.member, rig.endpoint.spots.lines)
    bodies = {request_id: json.loads(body) for request_id, body in receiver.requests}
    assert [each["notification"] for each in bodies["crm_0_0_3"]["data"]["deliveries"]] == ["b"]
    assert bodies["crm_tokens_0_0_0"]["data"]["tokens"][0]["token_hash"] == (b"h" * 16).hex()
    assert {spot: at[0] for spot, at in broker.committed.items()} == {ENDED: 4, DEAD_TOKENS: 1}
    assert rig.endpoint.reader.unreadable == {"unknown_frame": 1}


@pytest.mark.parametrize("at", [2**62, -(2**62)])
def test_a_record_with_a_time_that_no_clock_tells_ends_no_endpoint(
    at: int, tmp_path: Path, runner: asyncio.Runner
) -> None:
    token = TokenInvalid("u", "news", "d", "fcm", b"h" * 16, "device_unregistered", 404, None, at, 7, "ab")
    breaker = encode(BreakerRecord("open", "timeout", 2**53, 2**53))
    spots = {ENDED: (0, ""), DEAD_TOKENS: (0, ""), CONTROL: (0, "")}
    logs: dict[Any, list[bytes | None]] = {
        ENDED: log("a", created_at=at) + log("b"),
        DEAD_TOKENS: [encode_token_invalid(token)],
        CONTROL: [breaker],
    }
    keys = {CONTROL: [Subject(Kind.BREAKER, "news", Platform.APNS).key()]}
    receiver = Receiver()
    rig = Rig(
        tmp_path,
        Broker(logs, spots, keys),
        receiver,
        events=["deliveries.ended", "tokens.invalid", "breaker.changed"],
    )
    for spot in spots:
        rig.read(spot=spot)
    rig.post(runner)
    bodies = [json.loads(body) for _, body in receiver.requests]
    assert sorted(body["type"] for body in bodies) == ["breaker.changed", "deliveries.ended", "tokens.invalid"]


def test_breakers_canaries_and_settled_reports_are_told_each_type_in_requests_of_its_own(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    apns = Subject(Kind.BREAKER, "news", Platform.APNS)
    canary = Subject(Kind.CANARY, "news", Platform.APNS)
    said: list[tuple[bytes, bytes | None]] = [
        (apns.key(), encode(BreakerRecord("open", "provider_unavailable", 4000, 5000, by="sender 1"))),
        (canary.key(), encode(CanaryWord("ok", 5500, 5400))),
        (Subject(Kind.BREAKER, "shop", Platform.FCM).key(), encode(BreakerRecord("open", "timeout", 4000, 5000))),
        (apns.key(), encode(BreakerRecord("closed", "provider_unavailable", 4000, 5000, 6000))),
        (canary.key(), encode(CanaryWord("failed", 7000, 5400, "silent"))),
        (apns.key(), None),
        (b"pause/news/apns/*", encode(Pause(7))),
        (b"moon/news/apns", b"{}"),
    ]
    note = Note(id="n", kind="notification", app="news", klass="breaking")
    sums = [value_of(note, 3, 9, 8000)]
    note.planned = {"apns": 1}
    sums.append(value_of(note, 3, 10, 9000))
    broker = Broker(
        {CONTROL: [value for _, value in said], SUMS: [*sums, b"{}"]},
        {CONTROL: (0, ""), SUMS: (0, "")},
        {CONTROL: [key for key, _ in said]},
    )
    receiver = Receiver()
    wanted = ["report.settled", "breaker.changed", "canary.failed"]
    rig = Rig(tmp_path, broker, receiver, events=wanted, apps=["news"])
    for spot in broker.logs:
        rig.read(spot=spot)
    for _ in range(3):
        rig.post(runner)
    told = [(request_id, json.loads(body)) for request_id, body in receiver.requests]
    assert [(each, body["type"], body["timestamp"]) for each, body in told] == [
        ("crm_breakers_0_0_3", "breaker.changed", "1970-01-01T00:00:06.000Z"),
        ("crm_reports_0_0_2", "report.settled", "1970-01-01T00:00:08.000Z"),
        ("crm_canaries_0_4_7", "canary.failed", "1970-01-01T00:00:07.000Z"),
    ]
    assert [event["state"] for event in told[0][1]["data"]["breakers"]] == ["open", "closed"]
    assert told[1][1]["data"]["reports"] == [json.loads(sums[0])]
    [failed] = told[2][1]["data"]["canaries"]
    assert (failed["reason"], failed["last_accepted_at"]) == ("silent", "1970-01-01T00:00:05.400Z")
    assert rig.endpoint.reader.unreadable == {"key_invalid": 1, "invalid_field": 1}


def test_w5_an_endpoint_that_is_gone_is_given_up_until_an_operator_says_so(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    broker, receiver = Broker({ENDED: log(*"abc")}, {ENDED: (0, "")}), Receiver(answers=[Said("http_410")])
    rig = Rig(tmp_path, broker, receiver)
    rig.read()
    rig.post(runner)
    assert rig.reasons == ["the endpoint answered 410 Gone"]
    assert rig.endpoint.disabled
    rig.post(runner)
    assert len(receiver.requests) == 1
    rig.order = WebhookOrder("disabled", rig.endpoint._given_up_at)
    successor = Rig(tmp_path, broker, receiver)
    successor.order = rig.order
    successor.read()
    successor.post(runner)
    assert len(receiver.requests) == 1, "nobody else posts either"
    successor.order = WebhookOrder("on", rig.endpoint._given_up_at + 1)
    successor.post(runner)
    assert names(receiver) == list("abc")


def test_an_order_to_begin_at_an_earlier_time_holds_once(tmp_path: Path, runner: asyncio.Runner) -> None:
    broker, receiver = Broker({ENDED: log(*"abcd")}, {ENDED: (4, "")}), Receiver()
    rig = Rig(tmp_path, broker, receiver)
    rig.order = WebhookOrder("on", 99, from_ms=2)
    rig.post(runner)
    rig.read()
    rig.post(runner)
    rig.endpoint.spots.commit(rig.member, rig.endpoint.spots.lines)
    assert (names(receiver), broker.committed[ENDED]) == (["c", "d"], (4, ":99:0"))
    successor = Rig(tmp_path, broker, receiver)
    successor.order = rig.order
    successor.post(runner)
    successor.read()
    successor.post(runner)
    assert names(receiver) == ["c", "d"]
    successor.order = WebhookOrder("on", 100, from_ms=50)
    successor.post(runner)
    assert successor.endpoint.spots.lines[ENDED].read == 4, "nothing was recorded since then"


def test_a_new_endpoint_begins_now_and_one_that_was_away_too_long_tells_what_is_lost(
    tmp_path: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, receiver = Broker({ENDED: log(*"abcdef")}), Receiver()
    rig = Rig(tmp_path, broker, receiver)
    assert rig.endpoint.spots.lines[ENDED].read == 6
    broker.committed[ENDED] = 1, "2:0:0"
    monkeypatch.setattr("twins.webhooks.Member.get_watermark_offsets", lambda *_, **__: (4, 6))
    late = Rig(tmp_path, broker, receiver)
    late.read()
    for _ in range(2):
        late.post(runner)
    assert (late.endpoint.spots.lost, names(receiver)) == (3, ["e", "f"])
    broker.committed[ENDED] = 9, "12:7:0"
    anew = Rig(tmp_path, broker, receiver)
    assert (anew.endpoint.spots.lines[ENDED].read, anew.endpoint.spots.lines[ENDED].mark.resumed_at) == (4, 7)
