from __future__ import annotations

import pytest

from pushcast.http2.frames import (
    DATA,
    INTERNAL_ERROR,
    SETTINGS_INITIAL_WINDOW_SIZE,
    SETTINGS_MAX_FRAME_SIZE,
    WINDOW_UPDATE,
    pack_data,
    pack_ping,
    pack_rst_stream,
    pack_settings,
    pack_window_update,
    unpack_u32,
)
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.request import Kind, Template, Wrapped
from unit.http2.wire import Wire, apns_template, make_job, streams


def test_requests_stop_at_the_connection_window_and_go_on_after_an_update() -> None:
    wire = Wire().settle()
    wire.submit(100, template=apns_template(b"x" * 1_000))
    assert sum(len(request.body) for request in wire.requests.values()) == 65_535
    assert len(wire.requests) == 66
    wire.say(pack_window_update(0, 500))
    assert sum(len(request.body) for request in wire.requests.values()) == 66_035
    wire.say(pack_window_update(0, 1 << 20))
    assert len(wire.requests) == 100
    assert all(request.ended and len(request.body) == 1_000 for request in wire.requests.values())


def test_a_body_beyond_the_stream_window_is_sent_in_parts() -> None:
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: 10})
    wire.submit(3, template=apns_template(b"0123456789abcdef"))
    assert [request.body for request in wire.requests.values()] == [b"0123456789"] * 3
    wire.say(pack_window_update(3, 6))
    assert [request.ended for request in wire.requests.values()] == [False, True, False]
    assert wire.requests[3].body == b"0123456789abcdef"


def test_a_changed_initial_window_moves_open_streams_even_below_zero() -> None:
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: 10})
    wire.submit(1, template=apns_template(b"x" * 30))
    wire.say(pack_settings({SETTINGS_INITIAL_WINDOW_SIZE: 2}))
    wire.say(pack_window_update(1, 8))
    assert len(wire.requests[1].body) == 10
    wire.say(pack_window_update(1, 1))
    assert len(wire.requests[1].body) == 11
    wire.say(pack_settings({SETTINGS_INITIAL_WINDOW_SIZE: 100}))
    assert wire.requests[1].ended


def test_a_window_of_zero_lets_only_headers_out() -> None:
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: 0})
    wire.submit(2)
    assert [(request.body, request.ended) for request in wire.requests.values()] == [(b"", False)] * 2
    wire.say(pack_settings({SETTINGS_INITIAL_WINDOW_SIZE: 1_000}))
    assert all(request.ended for request in wire.requests.values())


def test_bodies_are_cut_at_the_servers_frame_size() -> None:
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: 1 << 20})
    wire.say(pack_window_update(0, 1 << 20))
    wire.submit(1, template=apns_template(b"x" * 40_000))
    assert [len(frame.payload) for frame in wire.frames if frame.type == DATA] == [16_384, 16_384, 7_232]
    wire.say(pack_settings({SETTINGS_MAX_FRAME_SIZE: 50_000}))
    wire.submit(1, template=apns_template(b"y" * 40_000))
    assert [len(frame.payload) for frame in wire.frames if frame.type == DATA][3:] == [40_000]


def test_own_bodies_of_different_sizes_keep_exact_account_of_the_window() -> None:
    wire = Wire().settle()
    template = Template(path=b"/", body=Wrapped())
    bodies = [b"b" * (number * 37 % 900 + 1) for number in range(400)]
    wire.submit(400, template=template, columns=[bodies])
    for _ in range(400):
        if len(wire.requests) == 400 and all(request.ended for request in wire.requests.values()):
            break
        sent = sum(len(request.body) for request in wire.requests.values())
        assert sent <= 65_535 + 1_000 * _
        wire.say(pack_window_update(0, 1_000))
    assert [request.body for request in wire.requests.values()] == bodies


def test_five_thousand_error_bodies_never_exhaust_our_window() -> None:
    wire = Wire().settle(streams(1_000))
    wire.say(pack_window_update(0, 1 << 24))
    sent = wire.submit(5_000)
    body = b'{"reason":"Unregistered","timestamp":1700000000000}' + b" " * 4_000
    granted, used, answered = 1 << 24, 0, 0
    while answered < 5_000:
        ready = list(wire.requests)[answered:]
        assert ready
        for stream_id in ready:
            used += len(body)
            assert used <= granted
            wire.say(wire.answer(stream_id, 410, body))
        answered += len(ready)
        wire.connection.pump()
        wire.read()
        updates = [frame for frame in wire.frames[2:] if frame.type == WINDOW_UPDATE and not frame.stream_id]
        granted = (1 << 24) + sum(unpack_u32(frame.payload, "WINDOW_UPDATE") for frame in updates)
    assert used > 1 << 24
    assert {(r.status, r.body) for r in sent.outcomes.values()} == {(410, body)}


def test_a_long_body_gets_more_stream_window() -> None:
    wire = Wire(ConnectionOptions(max_body_bytes=1 << 20)).settle()
    wire.submit(1)
    wire.say(wire.headers(1, 502, end=False))
    for _ in range(40):
        wire.say(pack_data(1, b"h" * 16_000, end_stream=False))
    given = [unpack_u32(frame.payload, "") for frame in wire.frames if frame.type == WINDOW_UPDATE and frame.stream_id]
    assert sum(given) > 40 * 16_000 - 262_144


def test_a_paused_transport_takes_no_more_requests() -> None:
    wire = Wire(full=200_000).settle()
    wire.say(pack_window_update(0, 1 << 24))
    wire.queue.submit(make_job(4_000, template=apns_template(b"x" * 3_000)).job, 0.0)
    wire.connection.pump()
    written = sum(map(len, wire.transport.written))
    assert 200_000 < written < 200_000 + 131_072 + 4_096
    wire.read()
    before = len(wire.requests)
    wire.connection.resume_writing()
    wire.read()
    assert len(wire.requests) > before


def test_a_server_that_asks_but_does_not_read_is_cut_off() -> None:
    wire = Wire().settle()
    wire.connection.pause_writing()
    for _ in range(65_536 // 17):
        wire.connection.data_received(pack_ping(b"12345678"))
    assert not wire.listener.faults
    wire.connection.data_received(pack_ping(b"12345678"))
    assert wire.listener.faults[0].reason == "peer_violation"


def test_early_data_on_a_reset_stream_still_counts_and_harms_nobody() -> None:
    wire = Wire().settle()
    sent = wire.submit(2)
    wire.connection.cancel(sent.job, [0])
    wire.read()
    wire.say(wire.headers(1, 200, end=False) + pack_data(1, b"late") + wire.answer(3))
    assert sent.outcomes[0].kind is Kind.UNKNOWN
    assert sent.outcomes[1].status == 200


@pytest.mark.parametrize("end", ["lost", "reset", "deadline", "cancelled", "closed"])
@pytest.mark.parametrize(("window", "kind"), [(0, Kind.UNSENT), (24, Kind.UNSENT), (25, None)])
def test_a_request_whose_body_has_not_left_to_its_end_was_not_processed(
    end: str, window: int, kind: Kind | None
) -> None:
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: window})
    sent = wire.submit(1, timeout_seconds=10.0)
    assert len(wire.requests[1].body) == window
    if end == "lost":
        wire.connection.connection_lost(None)
    elif end == "reset":
        wire.say(pack_rst_stream(1, INTERNAL_ERROR))
    elif end == "deadline":
        wire.now = 11.0
        wire.connection.sweep(wire.now)
    elif end == "cancelled":
        wire.connection.cancel(sent.job, [0])
    else:
        wire.connection.close()
    assert sent.outcomes[0].kind is (kind or (Kind.DEADLINE if end == "deadline" else Kind.UNKNOWN))


def test_an_answer_to_a_request_whose_body_has_not_left_counts() -> None:
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: 10})
    sent = wire.submit(2)
    wire.say(wire.headers(1, 413) + wire.headers(3, 200, end=False))
    wire.connection.connection_lost(None)
    assert {index: response.status for index, response in sent.outcomes.items()} == {0: 413, 1: 200}
