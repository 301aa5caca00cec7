"""A connection asks before it takes new targets: what waited may not be ours to send any more."""

from __future__ import annotations

from pushcast.http2.frames import (
    SETTINGS_INITIAL_WINDOW_SIZE,
    SETTINGS_MAX_CONCURRENT_STREAMS,
    pack_window_update,
)
from pushcast.http2.request import Kind
from unit.http2.wire import Wire, apns_template, make_job, streams


class Gate:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.is_open = True
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.is_open


def test_a_shut_gate_writes_nothing_and_gives_everything_back() -> None:
    wire, gate = Wire().settle(), Gate()
    gate.is_open = False
    sent = wire.submit(300, may_leave=gate)
    assert not wire.requests
    assert {(r.kind, r.fault) for r in sent.outcomes.values()} == {(Kind.UNSENT, "not_ours")}
    assert len(sent.outcomes) == 300
    assert (wire.queue.waiting, wire.queue.in_flight, gate.asked) == (0, 0, 1)


def test_it_is_asked_for_each_write_and_not_for_each_target() -> None:
    wire, gate = Wire().settle(streams(100)), Gate()
    sent = wire.submit(300, may_leave=gate)
    wire.say(b"".join(wire.answer(stream_id) for stream_id in list(wire.requests)))
    wire.say(b"".join(wire.answer(stream_id) for stream_id in list(wire.requests)[100:]))
    assert len(wire.requests) == 300
    wire.say(b"".join(wire.answer(stream_id) for stream_id in list(wire.requests)[200:]))
    assert sent.kinds() == {"answered": 300}
    assert gate.asked == 3


def test_what_is_out_when_it_shuts_is_answered_and_what_waits_stays() -> None:
    wire, gate = Wire().settle(streams(10)), Gate()
    sent = wire.submit(30, may_leave=gate)
    gate.is_open = False
    wire.say(b"".join(wire.answer(stream_id) for stream_id in list(wire.requests)))
    assert len(wire.requests) == 10
    assert sent.kinds() == {"answered": 10, "unsent": 20}


def test_the_gate_of_one_job_is_not_that_of_another() -> None:
    wire, gate = Wire().settle(streams(10)), Gate()
    first = wire.submit(15, may_leave=gate)
    second = make_job(5, first=15)
    wire.queue.submit(second.job, 0.0)
    gate.is_open = False
    wire.say(b"".join(wire.answer(stream_id) for stream_id in list(wire.requests)))
    assert first.kinds() == {"answered": 10, "unsent": 5}
    assert [request.header(b"apns-id") for request in wire.requests.values()][10:] == [
        b"id-%08d" % number for number in range(15, 20)
    ]


def test_what_the_server_did_not_process_is_asked_for_again() -> None:
    wire, gate = Wire().settle(streams(10)), Gate()
    sent = wire.submit(4, may_leave=gate)
    gate.is_open = False
    wire.connection._returns._give_back([5, 7])
    wire.connection.pump()
    wire.read()
    assert len(wire.requests) == 4
    assert sent.kinds() == {"unsent": 2}


def test_a_request_whose_head_is_out_is_written_to_its_end() -> None:
    gate = Gate()
    wire = Wire().settle({SETTINGS_INITIAL_WINDOW_SIZE: 1_000, SETTINGS_MAX_CONCURRENT_STREAMS: 1})
    sent = wire.submit(2, template=apns_template(b"x" * 1_500), may_leave=gate)
    assert [request.ended for request in wire.requests.values()] == [False]
    gate.is_open = False
    wire.say(pack_window_update(1, 1_000))
    assert wire.requests[1].ended
    wire.say(wire.answer(1))
    assert sent.kinds() == {"answered": 1, "unsent": 1}
