from __future__ import annotations

import pytest

from pushcast.http2.frames import (
    CANCEL,
    RST_STREAM,
    SETTINGS_ENABLE_PUSH,
    SETTINGS_HEADER_TABLE_SIZE,
    SETTINGS_INITIAL_WINDOW_SIZE,
    SETTINGS_MAX_HEADER_LIST_SIZE,
    pack_data,
    pack_headers,
    pack_settings,
    pack_settings_ack,
    pack_window_update,
    unpack_settings,
)
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.request import Kind, Template, Varying, Wrapped
from unit.http2.wire import BODY, Wire, apns_template, make_job, settings_frames, streams


def test_nothing_is_sent_before_the_server_has_spoken() -> None:
    wire = Wire()
    sent = wire.submit(3)
    assert not wire.requests
    wire.settle()
    assert len(wire.requests) == 3
    assert not sent.lists


def test_our_settings_switch_off_push_and_the_servers_header_table() -> None:
    wire = Wire()
    values = dict(unpack_settings(settings_frames(wire.read())[0].payload))
    assert values[SETTINGS_ENABLE_PUSH] == 0
    assert values[SETTINGS_HEADER_TABLE_SIZE] == 0


def test_every_target_gets_its_own_path_and_id_and_the_shared_rest() -> None:
    wire = Wire().settle()
    wire.submit(300)
    assert len(wire.requests) == 300
    for number, request in enumerate(wire.requests.values()):
        assert request.headers == [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", b"push.example"),
            (b":path", b"/3/device/%064x" % number),
            (b"authorization", b"bearer " + b"t" * 100),
            (b"apns-topic", b"com.example.news"),
            (b"apns-id", b"id-%08d" % number),
        ]
        assert request.body == BODY
        assert request.ended


def test_hundreds_of_requests_leave_in_one_write() -> None:
    wire = Wire().settle()
    sent = make_job(500)
    wire.queue.submit(sent.job, 0.0)
    wire.connection.pump()
    assert len(wire.transport.written) == 1
    wire.read()
    assert len(wire.requests) == 500


def test_a_write_stays_below_its_cap() -> None:
    wire = Wire(ConnectionOptions(max_write_bytes=65_536)).settle()
    sent = make_job(500, template=apns_template(b"x" * 4_000))
    wire.queue.submit(sent.job, 0.0)
    wire.connection.data_received(
        pack_settings({SETTINGS_INITIAL_WINDOW_SIZE: 1 << 20}) + pack_window_update(0, 1 << 30)
    )
    assert max(map(len, wire.transport.written)) < 65_536 + 4_500
    wire.read()
    assert len(wire.requests) == 500


def test_several_small_jobs_share_a_write() -> None:
    wire = Wire().settle()
    jobs = [make_job(1, first=number) for number in range(20)]
    for sent in jobs:
        wire.queue.submit(sent.job, 0.0)
    wire.connection.pump()
    assert len(wire.transport.written) == 1
    wire.read()
    wire.say(b"".join(wire.answer(stream_id) for stream_id in wire.requests))
    assert all(sent.outcomes[0].status == 200 for sent in jobs)


def test_a_piece_inside_the_body_differs_per_target() -> None:
    wire = Wire().settle()
    template = Template(path=b"/send", body=Wrapped(b'{"token":"', b'","x":1}'))
    wire.submit(3, template=template, columns=[[b"a", b"bbbb", b"cc"]])
    bodies = [request.body for request in wire.requests.values()]
    assert bodies == [b'{"token":"a","x":1}', b'{"token":"bbbb","x":1}', b'{"token":"cc","x":1}']


def test_a_whole_own_body_per_target_may_even_be_empty() -> None:
    wire = Wire().settle()
    wire.submit(3, template=Template(path=b"/", body=Wrapped()), columns=[[b"one", b"", b"three"]])
    assert [request.body for request in wire.requests.values()] == [b"one", b"", b"three"]
    assert all(request.ended for request in wire.requests.values())


def test_an_absent_optional_header_is_absent() -> None:
    wire = Wire().settle()
    template = Template(path=b"/", varying=[Varying(b"apns-collapse-id", optional=True), Varying(b"apns-id")])
    wire.submit(3, template=template, columns=[[b"c1", None, b"c3"], [b"1", b"2", b"3"]])
    assert [request.header(b"apns-collapse-id") for request in wire.requests.values()] == [b"c1", None, b"c3"]
    assert [request.header(b"apns-id") for request in wire.requests.values()] == [b"1", b"2", b"3"]


def test_a_request_without_a_body_ends_with_its_headers() -> None:
    wire = Wire().settle()
    wire.submit(1, template=Template(path=b"/channels", method=b"GET"), columns=[])
    (request,) = wire.requests.values()
    assert request.ended
    assert request.header(b":method") == b"GET"


def test_header_blocks_larger_than_a_frame_continue() -> None:
    wire = Wire().settle()
    wire.submit(2, template=Template(path=b"/", headers=[(b"x-long", b"y" * 20_000)], body=b"b"), columns=[])
    (request,) = wire.requests.values()
    assert request.header(b"x-long") == b"y" * 20_000
    assert request.body == b"b"


def test_a_header_list_beyond_the_servers_limit_is_not_sent() -> None:
    wire = Wire().settle({SETTINGS_MAX_HEADER_LIST_SIZE: 300})
    sent = wire.submit(2)
    assert not wire.requests
    assert {(response.kind, response.fault) for response in sent.outcomes.values()} == {
        (Kind.UNSENT, "header_list_too_large")
    }


def test_answers_in_any_order_find_their_targets() -> None:
    wire = Wire().settle()
    sent = wire.submit(100)
    order = sorted(wire.requests, key=lambda stream_id: stream_id * 7919 % 101)
    for stream_id in order:
        target = (stream_id - 1) // 2
        wire.say(wire.answer(stream_id, 200 if target % 3 else 410, b"" if target % 3 else b"body %d" % target))
    assert {index: (r.status, r.body) for index, r in sent.outcomes.items()} == {
        index: (200, b"") if index % 3 else (410, b"body %d" % index) for index in range(100)
    }


def test_outcomes_of_one_read_come_as_one_list() -> None:
    wire = Wire().settle()
    sent = wire.submit(50)
    wire.say(b"".join(wire.answer(stream_id) for stream_id in wire.requests))
    assert [len(outcomes) for outcomes in sent.lists] == [50]


def test_an_answer_cut_into_single_bytes_is_understood() -> None:
    wire = Wire().settle()
    sent = wire.submit(2)
    for octet in wire.answer(1, 400, b'{"reason":"BadDeviceToken"}') + wire.answer(3):
        wire.say(bytes((octet,)))
    assert sent.outcomes[0].body == b'{"reason":"BadDeviceToken"}'
    assert sent.outcomes[1].status == 200


def test_headers_of_errors_are_kept() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    wire.say(wire.headers(1, 429, more=[("retry-after", "17")]))
    assert sent.outcomes[0].header(b"retry-after") == b"17"


def test_headers_of_a_success_are_kept_when_the_template_wants_them() -> None:
    wire = Wire().settle()
    sent = wire.submit(1, template=Template(path=b"/", wants_headers=True), columns=[])
    wire.say(wire.headers(1, 200, more=[("location", "/m/1")]))
    assert sent.outcomes[0].header(b"location") == b"/m/1"


def test_interim_answers_trailers_padding_and_empty_data_do_not_confuse() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    padded = b"\x05" + b"he" + bytes(5)
    wire.say(
        wire.headers(1, 103, end=False)
        + wire.headers(1, 503, end=False)
        + pack_data(1, b"", end_stream=False)
        + bytes((0, 0, len(padded), 0, 8, 0, 0, 0, 1))
        + padded
        + pack_data(1, b"llo", end_stream=False)
        + pack_headers(1, wire.encoder.encode([("grpc-status", "1")]), end_stream=True)
    )
    assert (sent.outcomes[0].status, sent.outcomes[0].body) == (503, b"hello")


def test_trailers_that_look_like_a_success_change_no_status() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    wire.say(wire.headers(1, 503, end=False) + wire.headers(1, 200))
    assert sent.outcomes[0].status == 503


def test_a_success_whose_body_ends_with_an_empty_frame() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    wire.say(wire.headers(1, end=False) + pack_data(1, b'{"name":"x"}', end_stream=False) + pack_data(1, b""))
    assert sent.outcomes[0].body == b'{"name":"x"}'


def test_an_answer_in_continuation_frames() -> None:
    wire = Wire().settle()
    sent = wire.submit(1)
    block = wire.encoder.encode([(":status", "429"), ("retry-after", "5"), ("x", "y" * 100)])
    wire.say(pack_headers(1, block, end_stream=True, max_frame_bytes=20))
    assert sent.outcomes[0].header(b"retry-after") == b"5"


def test_an_answer_before_the_body_is_sent_ends_the_request() -> None:
    wire = Wire().settle()
    sent = wire.submit(1, template=apns_template(b"z" * 100_000))
    assert len(wire.requests[1].body) == 65_535
    wire.say(wire.answer(1, 413))
    assert sent.outcomes[0].status == 413
    assert wire.requests[1].reset == CANCEL
    assert wire.connection.in_flight == 0


def test_a_malformed_answer_costs_only_its_own_stream() -> None:
    wire = Wire().settle()
    sent = wire.submit(4)
    no_status = pack_headers(1, wire.encoder.encode([("x", "y")]), end_stream=True)
    data_first = pack_data(3, b"surprise")
    interim_end = wire.headers(5, 103, end=True)
    wire.say(no_status + data_first + interim_end + wire.answer(7))
    assert [sent.outcomes[index].fault for index in range(3)] == ["malformed_response"] * 3
    assert sent.outcomes[3].status == 200
    assert wire.is_open()


def test_an_endless_body_is_cut() -> None:
    wire = Wire(ConnectionOptions(max_body_bytes=1_000)).settle()
    sent = wire.submit(1)
    wire.say(wire.headers(1, 502, end=False) + pack_data(1, b"<html>" * 300, end_stream=False))
    response = sent.outcomes[0]
    assert (response.status, len(response.body), response.fault) == (502, 1_000, "incomplete_body")
    assert wire.requests[1].reset == CANCEL
    wire.say(pack_data(1, b"more", end_stream=False))
    assert wire.is_open()


def test_a_raising_callback_harms_no_other_job() -> None:
    problems: list[Exception] = []
    wire = Wire()
    wire.queue.on_error = problems.append

    def explode(outcomes: object) -> None:
        raise ValueError("the caller's own")

    bad, good = make_job(1, then=explode), make_job(1)
    wire.queue.submit(bad.job, 0.0)
    wire.queue.submit(good.job, 0.0)
    wire.settle()
    wire.say(wire.answer(1) + wire.answer(3))
    assert good.outcomes[0].status == 200
    assert [str(problem) for problem in problems] == ["the caller's own"]


def test_headers_use_the_table_so_that_repeats_are_short() -> None:
    wire = Wire().settle()
    wire.submit(2)
    first, second = (frame for frame in wire.frames if frame.type == 1)
    # Only path, id and authorization, which must not be indexed, are spelt out the second time.
    assert len(second.payload) < len(first.payload) - len(b"apns-topiccom.example.newspush.example")


@pytest.mark.parametrize("limit", [0, 33, 60, 100, 4_096])
def test_the_servers_header_table_limit_is_obeyed(limit: int) -> None:
    wire = Wire()
    wire.decoder.max_allowed_table_size = limit
    wire.settle({SETTINGS_HEADER_TABLE_SIZE: limit})
    wire.submit(3)
    wire.submit(3, template=Template(path=b"/other", headers=[(b"a", b"b"), (b"c", b"d" * 30)]), columns=[])
    wire.submit(3)
    assert len(wire.requests) == 7
    assert all(len(request.headers) >= 4 for request in wire.requests.values())


def test_the_table_limit_may_change_while_requests_run() -> None:
    wire = Wire().settle()
    wire.submit(5)
    for limit in (0, 4_096, 64, 4_096):
        wire.say(pack_settings({SETTINGS_HEADER_TABLE_SIZE: limit}))
        wire.decoder.max_allowed_table_size = limit
        wire.submit(5)
    assert len({tuple(request.headers)[4:6] for request in wire.requests.values()}) == 1


def test_the_stream_limit_holds_from_a_thousand_to_one_to_five_hundred() -> None:
    wire = Wire().settle(streams(1_000))
    wire.say(pack_window_update(0, 1 << 20))
    sent = wire.submit(3_000)
    answered: set[int] = set()

    def answer(count: int) -> None:
        open_ids = [stream_id for stream_id in wire.requests if stream_id not in answered][:count]
        answered.update(open_ids)
        wire.say(b"".join(wire.answer(stream_id) for stream_id in open_ids))

    assert len(wire.requests) == 1_000
    wire.say(pack_settings(streams(1)))
    answer(999)
    assert len(wire.requests) == 1_000
    answer(1)
    assert len(wire.requests) == 1_001
    answer(1)
    assert len(wire.requests) == 1_002
    wire.say(pack_settings(streams(500)))
    assert len(wire.requests) == 1_501
    while len(answered) < 3_000:
        before = len(answered)
        answer(500)
        assert len(answered) > before
        assert len(wire.requests) - len(answered) <= 500
    assert sent.kinds() == {"answered": 3_000}


def test_no_stream_at_all_is_a_limit_too() -> None:
    wire = Wire().settle(streams(0))
    wire.submit(1)
    assert not wire.requests
    wire.say(pack_settings(streams(1)))
    assert len(wire.requests) == 1


def test_a_serial_connection_starts_with_one_stream() -> None:
    wire = Wire(ConnectionOptions(serial_until_answered=True)).settle(streams(1_000))
    wire.submit(50)
    assert len(wire.requests) == 1
    wire.say(wire.answer(1, 403, b'{"reason":"ExpiredProviderToken"}'))
    assert len(wire.requests) == 2
    wire.say(wire.answer(3))
    assert len(wire.requests) == 50


def test_a_saturated_connection_waits_for_more_than_a_single_free_stream() -> None:
    wire = Wire().settle(streams(100))
    wire.submit(200)
    wire.say(wire.answer(1))
    assert len(wire.requests) == 100
    assert wire.listener.soon == 1
    wire.connection.pump()
    wire.read()
    assert len(wire.requests) == 101
    wire.say(b"".join(wire.answer(1 + 2 * number) for number in range(1, 20)))
    assert len(wire.requests) == 120


def test_the_last_waiting_requests_are_not_held_back() -> None:
    wire = Wire().settle(streams(100))
    wire.submit(101)
    wire.say(wire.answer(1))
    assert len(wire.requests) == 101


def test_in_flight_is_bounded_over_connections() -> None:
    first = Wire(max_in_flight=10)
    second = Wire(queue=first.queue)
    first.settle()
    second.settle()
    first.submit(30)
    second.connection.pump()
    second.read()
    assert len(first.requests) + len(second.requests) == 10
    first.say(b"".join(first.answer(stream_id) for stream_id in list(first.requests)))
    assert len(first.requests) == 20
    assert first.queue.in_flight == 10


def test_stream_ids_end_before_they_run_out() -> None:
    wire = Wire(ConnectionOptions(max_stream_id=9)).settle()
    wire.submit(10)
    assert list(wire.requests) == [1, 3, 5, 7, 9]
    assert wire.connection.ids_left == 0
    wire.say(b"".join(wire.answer(stream_id) for stream_id in wire.requests))
    assert len(wire.requests) == 5
    assert wire.queue.waiting == 5


def test_the_acknowledgement_makes_dynamic_references_an_error() -> None:
    wire = Wire()
    wire.say(pack_settings({}))
    sent = wire.submit(3)
    wire.say(pack_headers(1, bytes.fromhex("88") + b"\x40\x01a\x01b", end_stream=True))
    wire.say(pack_headers(3, bytes.fromhex("88be"), end_stream=True))
    wire.say(pack_settings_ack())
    assert sent.kinds() == {"answered": 2}
    wire.say(pack_headers(5, bytes.fromhex("2089be"), end_stream=True))
    assert sent.outcomes[2].kind is Kind.UNKNOWN
    assert [fault.reason for fault in wire.listener.faults] == ["peer_violation"]


def test_nothing_is_reset_without_a_reason() -> None:
    wire = Wire().settle()
    wire.submit(200)
    wire.say(b"".join(wire.answer(stream_id) for stream_id in wire.requests))
    assert not [frame for frame in wire.frames if frame.type == RST_STREAM]


@pytest.mark.parametrize("cut", [9, 10, 19, 30, 41, 50])
@pytest.mark.parametrize("status", [200, 404])
def test_a_body_with_an_empty_frame_behind_it_is_whole_wherever_it_is_cut(cut: int, status: int) -> None:
    wire = Wire().settle()
    sent = wire.submit(3)
    body = b'{"name":"projects/1"}'
    for stream_id in (1, 3, 5):
        ended = pack_data(stream_id, b"", end_stream=True)
        answer = wire.headers(stream_id, status, end=False) + pack_data(stream_id, body, end_stream=False) + ended
        wire.say(answer[:cut])
        wire.say(answer[cut:])
    assert {index: (found.status, found.body) for index, found in sent.outcomes.items()} == dict.fromkeys(
        range(3), (status, body)
    )
    assert wire.is_open()
    assert wire.connection.in_flight == 0


def test_a_body_in_three_pieces_and_an_empty_one_is_whole() -> None:
    wire = Wire().settle()
    sent = wire.submit(2)
    pieces = [pack_data(1, piece, end_stream=False) for piece in (b"one ", b"two ", b"three")]
    wire.say(wire.headers(1, end=False) + b"".join(pieces) + pack_data(1, b"", end_stream=True) + wire.answer(3))
    assert sent.outcomes[0].body == b"one two three"
    assert sent.outcomes[1].status == 200
