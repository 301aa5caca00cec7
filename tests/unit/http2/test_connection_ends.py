from __future__ import annotations

import pytest

from pushcast.http2.errors import PeerViolation, PeerWentAway
from pushcast.http2.frames import (
    CANCEL,
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    FLAG_ACK,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    INTERNAL_ERROR,
    LARGEST_STREAM_ID,
    NO_ERROR,
    PING,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    pack_data,
    pack_frame,
    pack_goaway,
    pack_headers,
    pack_ping,
    pack_rst_stream,
    pack_settings,
    pack_window_update,
    unpack_goaway,
)
from pushcast.http2.listener import State
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.request import Kind
from unit.http2.wire import Wire, apns_template, goaways, make_job, streams


def test_goaway_gives_back_what_is_above_the_last_id_and_waits_for_the_rest() -> None:
    wire = Wire().settle()
    sent = wire.submit(10)
    wire.say(pack_goaway(9, NO_ERROR, b'{"reason":"Shutdown"}'))
    assert wire.queue.waiting == 5
    assert wire.connection.in_flight == 5
    assert wire.listener.work
    wire.say(b"".join(wire.answer(stream_id) for stream_id in (1, 3, 5, 7, 9)))
    assert sent.kinds() == {"answered": 5}
    (fault,) = wire.listener.faults
    assert isinstance(fault, PeerWentAway)
    assert fault.debug == b'{"reason":"Shutdown"}'

    other = Wire(queue=wire.queue).settle()
    other.connection.pump()
    other.read()
    other.say(b"".join(other.answer(stream_id) for stream_id in other.requests))
    assert sent.kinds() == {"answered": 10}
    paths = [request.header(b":path") for request in other.requests.values()]
    assert paths == [b"/3/device/%064x" % number for number in range(5, 10)]


def test_a_two_step_goaway_first_stops_new_requests_then_names_the_last() -> None:
    wire = Wire().settle(streams(5))
    sent = wire.submit(8)
    wire.say(pack_goaway(LARGEST_STREAM_ID, NO_ERROR))
    wire.say(wire.answer(1))
    assert len(wire.requests) == 5
    wire.say(pack_goaway(3, NO_ERROR))
    assert wire.queue.waiting == 3 + 3
    wire.say(wire.answer(3))
    assert wire.connection.state is State.CLOSED
    assert sent.kinds() == {"answered": 2}


def test_what_goaway_left_open_is_unknown_when_the_drain_bound_passes() -> None:
    wire = Wire(ConnectionOptions(drain_seconds=30)).settle()
    sent = wire.submit(2)
    wire.say(pack_goaway(3, INTERNAL_ERROR))
    wire.connection.sweep(10.0)
    wire.connection.sweep(39.0)
    assert not sent.outcomes
    wire.connection.sweep(40.0)
    assert {(r.kind, r.fault) for r in sent.outcomes.values()} == {(Kind.UNKNOWN, "peer_went_away")}


def test_bodies_go_on_below_the_last_id_of_a_goaway() -> None:
    wire = Wire().settle()
    wire.submit(1, template=apns_template(b"x" * 70_000))
    wire.say(pack_goaway(1, NO_ERROR))
    wire.say(pack_window_update(0, 10_000) + pack_window_update(1, 10_000))
    assert wire.requests[1].ended
    wire.say(wire.answer(1))
    assert wire.connection.state is State.CLOSED


def test_a_refused_stream_is_sent_again_after_a_pause_and_given_up_in_the_end() -> None:
    wire = Wire(ConnectionOptions(max_refusals=3)).settle()
    sent = wire.submit(1)
    for attempt in range(3):
        wire.say(pack_rst_stream(1 + 2 * attempt, REFUSED_STREAM))
        assert not sent.outcomes
        assert len(wire.requests) == 1 + attempt
        wire.connection.sweep(float(attempt))
        wire.read()
        assert len(wire.requests) == 2 + attempt
    wire.say(pack_rst_stream(7, REFUSED_STREAM))
    assert (sent.outcomes[0].kind, sent.outcomes[0].fault) == (Kind.REFUSED, "reset:REFUSED_STREAM")
    assert {request.header(b"apns-id") for request in wire.requests.values()} == {b"id-00000000"}


def test_any_other_reset_leaves_the_outcome_unknown() -> None:
    wire = Wire().settle()
    sent = wire.submit(2)
    wire.say(pack_rst_stream(1, INTERNAL_ERROR) + pack_rst_stream(3, 0x99))
    assert [sent.outcomes[index].fault for index in (0, 1)] == ["reset:INTERNAL_ERROR", "reset:153"]
    assert sent.kinds() == {"unknown": 2}
    assert wire.is_open()


def test_a_status_without_its_body_is_an_answer_all_the_same() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    wire.say(wire.headers(1, 503, end=False) + pack_rst_stream(1, NO_ERROR))
    assert (sent.outcomes[0].status, sent.outcomes[0].fault) == (503, "incomplete_body")


def test_a_reset_after_the_answer_changes_nothing() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    wire.say(wire.answer(1) + pack_rst_stream(1, NO_ERROR))
    assert sent.kinds() == {"answered": 1}


def test_a_lost_connection_leaves_everything_unknown_and_says_so_once() -> None:
    wire = Wire().settle(streams(3))
    sent = wire.submit(5)
    wire.say(wire.answer(1))
    wire.connection.connection_lost(ConnectionResetError("reset by peer"))
    wire.connection.connection_lost(None)
    assert sent.kinds() == {"answered": 1, "unknown": 3}
    assert wire.queue.waiting == 1
    assert [fault.reason for fault in wire.listener.faults] == ["connection_dropped"]


def test_a_deadline_frees_its_stream_and_harms_nobody() -> None:
    wire = Wire().settle(streams(4))
    late = wire.submit(2, timeout_seconds=5.0)
    others = wire.submit(4, first=10, timeout_seconds=50.0)
    assert len(wire.requests) == 4
    wire.connection.sweep(4.9)
    assert not late.outcomes
    wire.connection.sweep(5.0)
    wire.read()
    assert late.kinds() == {"deadline": 2}
    assert [wire.requests[stream_id].reset for stream_id in (1, 3, 5, 7)] == [CANCEL, CANCEL, None, None]
    assert len(wire.requests) == 6
    wire.say(b"".join(wire.answer(stream_id) for stream_id in (1, 3, 5, 7, 9, 11)))
    assert others.kinds() == {"answered": 4}
    assert wire.is_open()


def test_a_deadline_counts_for_the_part_of_a_burst_that_is_left() -> None:
    wire = Wire().settle()
    sent = wire.submit(100, timeout_seconds=5.0)
    wire.say(b"".join(wire.answer(stream_id) for stream_id in range(1, 121, 2)))
    wire.connection.sweep(6.0)
    assert sent.kinds() == {"answered": 60, "deadline": 40}


def test_what_waits_beyond_its_deadline_never_leaves() -> None:
    wire = Wire().settle(streams(1))
    sent = wire.submit(3, timeout_seconds=5.0)
    wire.queue.expire(5.0, 1.0)
    assert {index: response.fault for index, response in sent.outcomes.items()} == {1: "deadline", 2: "deadline"}
    assert sent.kinds() == {"unsent": 2}


def test_a_hundred_cancellations_harm_no_other_request() -> None:
    wire = Wire().settle()
    sent = wire.submit(300)
    wire.connection.cancel(sent.job, range(50, 150))
    wire.read()
    assert sent.kinds() == {"unknown": 100}
    wire.say(b"".join(wire.answer(stream_id) for stream_id in wire.requests))
    assert sent.kinds() == {"unknown": 100, "answered": 200}
    assert {index for index, r in sent.outcomes.items() if r.fault == "cancelled"} == set(range(50, 150))
    more = wire.submit(100)
    assert len(wire.requests) == 400
    wire.say(b"".join(wire.answer(stream_id) for stream_id in range(601, 801, 2)))
    assert more.kinds() == {"answered": 100}


def test_pings_are_answered_with_their_payload() -> None:
    wire = Wire().settle()
    wire.say(pack_ping(b"abcdefgh"))
    (pong,) = [frame for frame in wire.frames if frame.type == PING]
    assert (pong.flags, pong.payload) == (FLAG_ACK, b"abcdefgh")


def test_a_silent_server_is_asked_and_then_given_up() -> None:
    wire = Wire(ConnectionOptions(ping_after_seconds=15, ping_timeout_seconds=10)).settle()
    wire.connection.sweep(0.0)
    sent = wire.submit(5)
    wire.connection.sweep(14.0)
    assert not [frame for frame in wire.read() if frame.type == PING]
    wire.connection.sweep(15.0)
    assert [frame for frame in wire.read() if frame.type == PING]
    for now in range(16, 25):
        wire.connection.sweep(float(now))
    assert wire.is_open()
    wire.connection.sweep(25.0)
    assert [fault.reason for fault in wire.listener.faults] == ["peer_silent"]
    assert {(r.kind, r.fault) for r in sent.outcomes.values()} == {(Kind.UNKNOWN, "peer_silent")}


def test_a_server_is_not_blamed_for_our_own_absence() -> None:
    wire = Wire(ConnectionOptions(ping_after_seconds=15, ping_timeout_seconds=10)).settle()
    wire.connection.sweep(0.0)
    sent = wire.submit(1)
    wire.connection.sweep(15.0)
    wire.connection.sweep(400.0)
    assert wire.is_open()
    wire.say(wire.answer(1))
    assert sent.kinds() == {"answered": 1}


def test_a_server_that_answers_pings_but_no_request_is_asked_twice_at_most() -> None:
    wire = Wire(ConnectionOptions(ping_after_seconds=15)).settle()
    wire.submit(1)
    now = 0.0
    for _ in range(200):
        now += 1.0
        wire.connection.sweep(now)
        for frame in wire.read():
            if frame.type == PING and not frame.flags:
                wire.say(pack_ping(frame.payload, ack=True))
    pings = [frame for frame in wire.frames if frame.type == PING and not frame.flags & FLAG_ACK]
    assert len(pings) == 2
    assert wire.is_open()


@pytest.mark.parametrize(("idle", "pings"), [(3_600.0, 1), (None, 0)])
def test_an_idle_connection_is_pinged_only_where_that_is_welcome(idle: float | None, pings: int) -> None:
    wire = Wire(ConnectionOptions(idle_ping_seconds=idle)).settle()
    wire.connection.sweep(0.0)
    wire.connection.sweep(3_500.0)
    wire.connection.sweep(3_601.0)
    wire.read()
    assert len([frame for frame in wire.frames if frame.type == PING]) == pings


def test_a_server_that_stops_reading_is_given_up() -> None:
    wire = Wire().settle()
    wire.connection.sweep(0.0)
    sent = wire.submit(3)
    wire.connection.pause_writing()
    for now in range(15, 26):
        assert not sent.lists
        wire.connection.sweep(float(now))
    assert sent.kinds() == {"unknown": 3}
    assert wire.transport.closed
    wire.connection.sweep(26.0)
    wire.connection.sweep(28.0)
    assert wire.transport.aborted


def test_a_server_without_settings_is_given_up() -> None:
    wire = Wire()
    wire.connection.sweep(9.0)
    assert not wire.listener.faults
    wire.connection.sweep(10.0)
    assert [fault.reason for fault in wire.listener.faults] == ["peer_silent"]


def test_draining_answers_what_is_out_and_starts_nothing() -> None:
    wire = Wire().settle(streams(2))
    sent = wire.submit(4)
    wire.connection.drain()
    wire.say(wire.answer(1))
    assert len(wire.requests) == 2
    wire.say(wire.answer(3))
    assert sent.kinds() == {"answered": 2}
    assert [fault.reason for fault in wire.listener.faults] == ["closed_by_us"]
    assert wire.transport.closed


def test_a_callback_may_cancel_and_submit() -> None:
    wire = Wire().settle()
    second = make_job(1, first=5)

    def react(outcomes: object) -> None:
        if not second.lists and not second.job.queued:
            wire.queue.submit(second.job, 0.0)
            wire.connection.cancel(first.job, [1])

    first = make_job(2, then=react)
    wire.queue.submit(first.job, 0.0)
    wire.connection.pump()
    wire.read()
    wire.say(wire.answer(1))
    wire.connection.pump()
    wire.read()
    assert first.outcomes[1].fault == "cancelled"
    wire.say(wire.answer(5))
    assert second.outcomes[0].status == 200


SETTLED_VIOLATIONS = {
    "headers on an even stream": (pack_headers(2, b"\x88", end_stream=True), PROTOCOL_ERROR),
    "headers on a stream never opened": (pack_headers(101, b"\x88", end_stream=True), PROTOCOL_ERROR),
    "data on stream 0": (pack_data(0, b"x"), PROTOCOL_ERROR),
    "reset of an idle stream": (pack_rst_stream(99, CANCEL), PROTOCOL_ERROR),
    "a pushed stream": (pack_frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2\x88"), PROTOCOL_ERROR),
    "a header block that is none": (pack_headers(1, b"\xff\xff\xff\xff\xff", end_stream=True), COMPRESSION_ERROR),
    "a reference to an empty table": (pack_headers(1, b"\xbe", end_stream=True), COMPRESSION_ERROR),
    "an interrupted header block": (pack_frame(1, 0, 1, b"\x88") + pack_ping(b"12345678"), PROTOCOL_ERROR),
    "a continuation of nothing": (pack_frame(9, 4, 1, b"\x88"), PROTOCOL_ERROR),
    "an endless header block": (pack_frame(1, 0, 1, b"") + pack_frame(9, 0, 1, b"") * 70, ENHANCE_YOUR_CALM),
    "a huge header block": (pack_frame(1, 0, 1, b"") + pack_frame(9, 0, 1, b"\0" * 16_000) * 5, ENHANCE_YOUR_CALM),
    "a frame larger than we allow": (pack_frame(0, 0, 1, b"x" * 16_385), FRAME_SIZE_ERROR),
    "the head of a frame larger than we allow": (pack_frame(0, 0, 1, b"x" * 16_385)[:20], FRAME_SIZE_ERROR),
    "padding longer than its frame": (pack_frame(0, 8, 1, b"\x09abc"), PROTOCOL_ERROR),
    "a padded frame without a length": (pack_frame(0, 8, 1, b""), FRAME_SIZE_ERROR),
    "settings on a stream": (pack_frame(4, 0, 1, b""), PROTOCOL_ERROR),
    "settings of five bytes": (pack_frame(4, 0, 0, b"12345"), FRAME_SIZE_ERROR),
    "an acknowledgement with a payload": (pack_frame(4, 1, 0, b"123456"), FRAME_SIZE_ERROR),
    "push enabled by a server": (pack_settings({2: 1}), PROTOCOL_ERROR),
    "a stream window beyond 2^31-1": (pack_settings({4: 1 << 31}), FLOW_CONTROL_ERROR),
    "a frame size below the least": (pack_settings({5: 100}), PROTOCOL_ERROR),
    "a frame size above the most": (pack_settings({5: 1 << 24}), PROTOCOL_ERROR),
    "a ping of nine bytes": (pack_ping(b"123456789"), FRAME_SIZE_ERROR),
    "a ping on a stream": (pack_frame(6, 0, 1, b"12345678"), PROTOCOL_ERROR),
    "a goaway of seven bytes": (pack_frame(7, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
    "a window update of zero": (pack_window_update(0, 0), PROTOCOL_ERROR),
    "a window update of five bytes": (pack_frame(8, 0, 0, b"12345"), FRAME_SIZE_ERROR),
    "a connection window beyond 2^31-1": (pack_window_update(0, (1 << 31) - 1), FLOW_CONTROL_ERROR),
    "a reset of five bytes": (pack_frame(3, 0, 1, b"12345"), FRAME_SIZE_ERROR),
    "a priority of four bytes": (pack_frame(2, 0, 1, b"1234"), FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize("what", SETTLED_VIOLATIONS)
def test_a_violation_ends_the_connection_with_its_code_and_every_request(what: str) -> None:
    data, code = SETTLED_VIOLATIONS[what]
    wire = Wire().settle(streams(2))
    sent = wire.submit(3)
    wire.connection.data_received(data)
    wire.read()
    (fault,) = wire.listener.faults
    assert isinstance(fault, PeerViolation)
    assert fault.error_code == code
    assert unpack_goaway(goaways(wire.frames)[-1].payload)[1] == code
    assert wire.transport.closed
    assert sent.kinds() == {"unknown": 2}
    assert wire.queue.in_flight == 0
    assert wire.queue.waiting == 1
    wire.connection.data_received(wire.answer(1))
    assert sent.kinds() == {"unknown": 2}


@pytest.mark.parametrize("first", [pack_ping(b"12345678"), pack_goaway(0, 0), b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_first_frame_that_is_not_settings_is_a_violation(first: bytes) -> None:
    wire = Wire()
    wire.connection.data_received(first)
    assert [fault.reason for fault in wire.listener.faults] == ["peer_violation"]


def test_unknown_frames_and_settings_are_ignored() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    wire.say(pack_frame(0xBB, 0xFF, 77, b"whatever") + pack_settings({0x99: 5}) + wire.answer(1))
    assert sent.outcomes[0].status == 200


def test_frames_for_streams_that_are_over_are_ignored() -> None:
    wire = Wire().settle()
    wire.submit(1)
    wire.say(wire.answer(1))
    wire.say(
        wire.answer(1, 500, b"again")
        + pack_rst_stream(1, CANCEL)
        + pack_window_update(1, 5)
        + pack_frame(2, 0, 1, b"12345")
    )
    assert wire.is_open()
    assert not [frame for frame in wire.frames if frame.type == RST_STREAM]
