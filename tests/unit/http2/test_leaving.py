"""When the time for an answer begins, and when an answer is missing."""

from __future__ import annotations

import asyncio
import socket

from pushcast.http2.burst import Burst
from pushcast.http2.leaving import Leaving, Unread
from unit.http2.wire import Wire, make_job


class OnSocket(asyncio.Transport):
    """Knows its socket and nothing else."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__({"socket": end})


def make_burst(sent_at: float = 0.0) -> Burst:
    return Burst(make_job(2).job, range(2), 1, sent_at)


def test_what_the_kernel_took_at_once_has_left_when_it_was_written() -> None:
    leaving, burst = Leaving(), make_burst(1.0)
    leaving.wrote(100, [burst], 0)
    leaving.look(0, 5.0)
    assert burst.sent_at == 1.0


def test_a_request_has_left_when_the_buffer_has_drained_below_its_last_byte() -> None:
    leaving, first, second = Leaving(), make_burst(), make_burst()
    leaving.wrote(100, [first], 100)
    leaving.wrote(100, [second], 200)
    leaving.look(100, 3.0)  # the first has left; the second is nearer
    leaving.look(0, 7.0)
    assert (first.sent_at, second.sent_at) == (3.0, 7.0)


def test_time_stands_for_a_request_while_nothing_drains() -> None:
    leaving, burst = Leaving(), make_burst()
    leaving.wrote(100, [burst], 100)
    for now in (1.0, 2.0, 3.0):
        leaving.look(100, now)
    assert burst.sent_at == 0.0


def test_a_blocked_transport_does_not_eat_the_time_to_answer() -> None:
    wire = Wire().settle()
    wire.transport.buffered = 400
    sent = wire.submit(2, timeout_seconds=5.0)
    for wire.now in (4.0, 8.0, 12.0):
        wire.transport.buffered -= 100  # the peer reads, slowly
        wire.connection.sweep(wire.now)
    assert not sent.outcomes
    wire.transport.buffered = 0
    wire.now = 16.0
    wire.connection.sweep(wire.now)
    wire.connection.sweep(20.9)
    assert not sent.outcomes
    wire.connection.sweep(21.0)
    assert sent.kinds() == {"deadline": 2}


def test_the_rest_of_a_body_renews_the_time_to_answer() -> None:
    wire = Wire().settle({4: 10})
    sent = wire.submit(1, timeout_seconds=5.0)
    wire.now = 4.0
    wire.say(b"\x00\x00\x04\x08\x00" + (1).to_bytes(4) + (1_000).to_bytes(4))  # WINDOW_UPDATE of the stream
    assert wire.requests[1].ended
    wire.connection.sweep(8.9)
    assert not sent.outcomes
    wire.connection.sweep(9.0)
    assert sent.kinds() == {"deadline": 1}


def test_answers_are_timed_from_when_their_requests_left() -> None:
    wire = Wire().settle()
    wire.transport.buffered = 1
    wire.submit(2)
    wire.now, wire.transport.buffered = 2.0, 0
    wire.connection.sweep(wire.now)
    wire.now = 3.0
    wire.say(wire.answer(1) + wire.answer(3, 410, b"{}"))
    assert wire.listener.answers == [(2, 2.0)]


def test_nothing_is_missing_while_something_lies_in_the_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        unread = Unread(OnSocket(ours))
        assert unread.all_read()
        theirs.send(b"an answer")
        assert not unread.all_read()
        assert not unread.all_read()
        unread.received_bytes += len(ours.recv(100))
        assert unread.all_read()


def test_a_peer_that_never_stops_hides_nothing_for_ever() -> None:
    """What lay in the socket at first is no more than the kernel's buffer: so much was read since."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        unread = Unread(OnSocket(ours))
        theirs.send(b"on and on")
        assert not unread.all_read()
        unread.received_bytes += ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert unread.all_read()


def test_a_late_reader_calls_no_answer_missing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(on=ours).settle()
        sent = wire.submit(2, timeout_seconds=5.0)
        theirs.send(wire.answer(1))
        wire.connection.sweep(60.0)  # the first thing that this process does after a minute without CPU
        assert not sent.outcomes
        wire.say(ours.recv(1_000))
        wire.connection.sweep(60.1)
        assert sent.kinds() == {"answered": 1, "deadline": 1}
