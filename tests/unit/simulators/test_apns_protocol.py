from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.http2 import frames as f
from pushcast.simulators import Simulator
from unit.simulators.h2_client import BODY, H2Client, device, eventually, push_headers

MAX_STREAMS = f.SETTINGS_MAX_CONCURRENT_STREAMS


async def authenticated(simulator: Simulator, **options: Any) -> H2Client:
    client = await H2Client.connect(simulator, **options)
    assert (await client.call(device("aa"), push_headers(simulator), BODY)).status == 200
    await client.until(lambda: len(client.settings) > 1)
    return client


async def test_one_stream_until_a_token_was_accepted_then_a_thousand(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    assert client.settings[0][MAX_STREAMS] == 1
    refused = await client.call(device("aa"), push_headers(apns, authorization="bearer wrong"), BODY)
    assert (refused.status, refused.reason) == (403, "InvalidProviderToken")
    assert len(client.settings) == 1
    assert (await client.call(device("aa"), push_headers(apns), BODY)).status == 200
    await client.until(lambda: len(client.settings) > 1)
    assert client.settings[1][MAX_STREAMS] == 1000


async def test_a_second_stream_before_authentication_is_refused(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    client.machine.remote_settings.update({MAX_STREAMS: 100})
    client.machine.remote_settings.acknowledge()
    first = client.post(device("aa"), push_headers(apns), BODY, flush=False)
    second = client.post(device("ab"), push_headers(apns), BODY)
    assert (await client.answer(first)).status == 200
    assert (await client.answer(second)).reset_code == f.REFUSED_STREAM
    assert apns.stats()["accepted"] == 1
    assert sum(apns.stats()["protocol_violations"].values()) == 1


async def test_works_without_alpn(apns: Simulator) -> None:
    client = await H2Client.connect(apns, alpn=False)
    assert (await client.call(device("aa"), push_headers(apns), BODY)).status == 200


async def test_the_stream_limit_goes_down_and_up_at_any_time(apns: Simulator) -> None:
    client = await authenticated(apns)
    for streams in (1, 500):
        await apns.set_state({"streams": streams})
        await client.until(lambda: client.settings[-1].get(MAX_STREAMS) == streams)  # noqa: B023
    assert (await client.call(device("ab"), push_headers(apns), BODY)).status == 200


async def test_success_is_headers_alone_and_echoes_the_message_id(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    message_id = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
    answer = await client.call(device("aa"), push_headers(apns, apns_id=message_id), BODY)
    assert (answer.status, answer.headers["apns-id"], answer.data_frames) == (200, message_id, 0)
    generated = await client.call(device("aa"), push_headers(apns), BODY)
    assert len(generated.headers["apns-id"]) == 36


async def test_answers_never_exceed_the_windows_of_the_client(apns: Simulator) -> None:
    client = await authenticated(apns, acknowledge=False)
    headers = push_headers(apns)
    first = [client.post(device("dead0410"), headers, BODY, flush=number == 699) for number in range(700)]
    await client.answer(first[-1])
    second = [client.post(device("dead0410"), headers, BODY, flush=number == 799) for number in range(800)]
    await eventually(lambda: apns.stats()["requests"] == 1_501)
    await client.until(lambda: client.received_bytes >= 65_535)
    stream, body_bytes = second[-1], client.received_bytes
    assert body_bytes == 65_535
    assert not client.answers[stream].over
    client.machine.increment_flow_control_window(60_000)
    client.flush()
    answer = await client.answer(stream)
    assert answer.reason == "Unregistered"


async def test_a_small_stream_window_holds_back_only_that_stream(apns: Simulator) -> None:
    client = await H2Client.connect(apns, initial_window=10)
    stuck = client.post(device("dead0410"), push_headers(apns, authorization="bearer wrong"), BODY)
    await client.until(lambda: len(client.answers[stuck].body) == 10)
    assert not client.answers[stuck].ended
    client.machine.increment_flow_control_window(1_000, stuck)
    client.flush()
    assert (await client.answer(stuck)).reason == "Unregistered"


async def test_error_bodies_can_come_in_two_frames(apns: Simulator) -> None:
    await apns.set_state({"split_errors": True})
    client = await H2Client.connect(apns)
    answer = await client.call(device("bad00400"), push_headers(apns), BODY)
    assert (answer.data_frames, answer.reason) == (2, "BadDeviceToken")


async def test_503_can_come_without_a_body(apns: Simulator) -> None:
    client = await H2Client.connect(apns)
    answer = await client.call(device("e0005030"), push_headers(apns), BODY)
    assert (answer.status, answer.body, answer.ended) == (503, b"", True)


async def test_a_token_that_resets_its_stream_leaves_the_others_alone(apns: Simulator) -> None:
    client = await authenticated(apns)
    reset = client.post(device("ba5e0007"), push_headers(apns), BODY, flush=False)
    good = client.post(device("ab"), push_headers(apns), BODY)
    assert (await client.answer(reset)).reset_code == f.REFUSED_STREAM
    assert (await client.answer(good)).status == 200


async def test_a_token_that_is_never_answered_counts_as_unanswered_when_the_connection_ends(apns: Simulator) -> None:
    client = await authenticated(apns)
    silent = client.post(device("ba5e0001"), push_headers(apns), BODY, flush=False)
    good = client.post(device("ab"), push_headers(apns), BODY)
    assert (await client.answer(good)).status == 200
    assert not client.answers[silent].over
    apns.drop()
    await eventually(lambda: apns.stats()["unanswered"] == 1)


async def test_a_cancelled_request_gets_no_answer_and_frees_its_stream(apns: Simulator) -> None:
    await apns.set_state({"latency": {"ms": 30}})
    client = await authenticated(apns)
    cancelled = client.post(device("ab"), push_headers(apns), BODY)
    client.machine.reset_stream(cancelled, f.CANCEL)
    client.flush()
    assert (await client.call(device("ac"), push_headers(apns), BODY)).status == 200
    assert client.answers[cancelled].status == 0
    assert apns.stats()["events"]["cancelled_by_client"] == 1


async def test_graceful_goaway_answers_what_is_at_or_below_the_last_id_and_ignores_the_rest(apns: Simulator) -> None:
    client = await authenticated(apns)
    await apns.set_state({"goaway": {"after_requests": 3, "reason": "Shutdown"}, "latency": {"ms": 30}})
    headers = push_headers(apns)
    streams = [client.post(device(f"{n:04x}"), headers, BODY, flush=n == 3) for n in range(4)]
    await client.until(lambda: bool(client.goaways))
    goaway = client.goaways[0]
    assert (goaway.last_stream_id, goaway.error_code) == (streams[1], 0)
    assert json.loads(goaway.additional_data or b"") == {"reason": "Shutdown"}
    assert apns.stats()["accepted"] == 3
    for stream in streams[:2]:
        assert (await client.answer(stream)).status == 200
    await client.until(lambda: client.lost, seconds=8)
    assert not any(client.answers[stream].over for stream in streams[2:])
    assert apns.stats()["unanswered"] == 0


async def test_two_step_goaway_first_refuses_nothing(apns: Simulator) -> None:
    client = await authenticated(apns)
    assert apns.goaway("two_step", "Shutdown") == 1
    await client.until(lambda: bool(client.goaways))
    assert client.goaways[0].last_stream_id == f.LARGEST_STREAM_ID
    await client.until(lambda: len(client.goaways) == 2)
    assert client.goaways[1].last_stream_id == 1


async def test_abrupt_goaway_leaves_what_is_in_flight_without_an_answer(apns: Simulator) -> None:
    client = await authenticated(apns)
    await apns.set_state({"latency": {"ms": 5_000}})
    client.post(device("ab"), push_headers(apns), BODY)
    await eventually(lambda: apns.stats()["accepted"] == 2)
    apns.goaway("abrupt", "Shutdown")
    await client.until(lambda: client.lost)
    assert client.goaways[0].last_stream_id == 3
    await eventually(lambda: apns.stats()["unanswered"] == 1)


async def test_an_oversize_body_is_answered_before_it_was_sent(apns: Simulator) -> None:
    client = await authenticated(apns)
    stream = client.post(device("ab"), push_headers(apns), b"x" * 16_000, end=False)
    for _ in range(4):
        client.machine.send_data(stream, b"x" * 12_000)
        client.flush()
        await client.until(lambda: client.machine.local_flow_control_window(stream) >= 12_000)
    client.machine.send_data(stream, b"x" * 12_000)
    client.flush()
    answer = await client.answer(stream)
    assert (answer.status, answer.reason) == (413, "PayloadTooLarge")
    assert (await client.call(device("ac"), push_headers(apns), BODY)).status == 200


async def test_header_blocks_in_continuation_frames_and_padded_data_are_understood(apns: Simulator) -> None:
    client = await authenticated(apns)
    machine = client.machine
    stream = client.post(device("ab"), push_headers(apns, apns_collapse_id="x" * 64), b"", end=False, flush=False)
    machine.send_data(stream, BODY[:5], pad_length=7)
    machine.send_data(stream, b"")
    machine.send_data(stream, BODY[5:], end_stream=True, pad_length=0)
    client.flush()
    assert (await client.answer(stream)).status == 200
    assert apns.deliveries()[-1]["body"] == BODY.decode()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        f.PREFACE + f.pack_settings({}) + f.pack_frame(f.DATA, 1, 1, b"x"),
        f.PREFACE + f.pack_settings({}) + f.pack_frame(f.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff"),
        f.PREFACE + f.pack_settings({}) + f.pack_frame(f.HEADERS, 5, 2, b"\x83"),
        f.PREFACE + f.pack_settings({}) + f.pack_frame(f.PING, 0, 0, b"short"),
        f.PREFACE + f.pack_settings({}) + f.frame_header(20_000, f.DATA, 0, 1),
        f.PREFACE + f.pack_settings({}) + f.pack_frame(f.PUSH_PROMISE, 4, 1, b"\x00\x00\x00\x02"),
        f.PREFACE + f.pack_settings({}) + f.pack_window_update(0, 0),
    ],
)
async def test_a_client_that_breaks_http2_gets_goaway_and_harms_nobody(apns: Simulator, garbage: bytes) -> None:
    good = await authenticated(apns)
    bad = await H2Client.connect(apns)
    assert bad.transport is not None
    if not garbage.startswith(f.PREFACE):
        bad.transport.write(b"\x00\x00\x00\x09\x01\x00\x00\x00\x01")
    else:
        bad.transport.write(garbage[len(f.PREFACE) :])
    await bad.until(lambda: bad.lost)
    assert bad.goaways[0].error_code != f.NO_ERROR
    assert apns.stats()["protocol_violations"] == {"http2_error": 1}
    assert (await good.call(device("ab"), push_headers(apns), BODY)).status == 200


@pytest.mark.parametrize("style", ["continuation", "padded", "informational", "trailers", "crumbs"])
async def test_answers_come_in_every_form_http2_allows(apns: Simulator, style: str) -> None:
    client = await authenticated(apns)
    await apns.set_state({"answer_style": style})
    good = await client.call(device("ab"), push_headers(apns), BODY)
    assert (good.status, good.body, good.reset_code) == (200, b"", None)
    bad = await client.call(device("bad00400"), push_headers(apns), BODY)
    assert (bad.status, bad.reason) == (400, "BadDeviceToken")
    assert (bad.data_frames > 10) == (style == "crumbs")
