"""The engine against the strict `h2` server, driven by hypothesis: whatever a lawful server does, every target ends in
exactly one outcome, what was answered is reported as answered, and the server never finds a violation."""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pushcast.http2.connection import Connection
from pushcast.http2.frames import CANCEL, INTERNAL_ERROR, REFUSED_STREAM
from pushcast.http2.listener import State
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Kind, Template, Varying, Wrapped
from unit.http2.wire import Listening, ListTransport, Sent, make_job, raise_error

Codes = h2.settings.SettingCodes


class Conversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue = WorkQueue(max_waiting=10_000, max_in_flight=10_000, on_error=raise_error)
        self.sent: list[Sent] = []
        self.expected: dict[bytes, tuple[int, bytes]] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.deadlines: dict[bytes, float] = {}
        self.now = 0.0
        self.serial = 0

    @initialize(
        streams=st.integers(0, 20),
        window=st.sampled_from([0, 7, 300, 65_535, 200_000]),
        table=st.sampled_from([0, 50, 150, 4_096]),
        max_write=st.sampled_from([100, 1_000, 100_000]),
    )
    def connect(self, streams: int, window: int, table: int, max_write: int) -> None:
        self.options = ConnectionOptions(max_write_bytes=max_write, ping_after_seconds=1e9)
        self.first_settings = {
            Codes.MAX_CONCURRENT_STREAMS: streams,
            Codes.INITIAL_WINDOW_SIZE: window,
            Codes.HEADER_TABLE_SIZE: table,
        }
        self.open()

    def open(self) -> None:
        self.listener = Listening()
        self.connection = Connection(self.queue, self.options, self.listener, lambda: self.now)
        self.transport = ListTransport()
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.server = h2.connection.H2Connection(config)
        self.server.local_settings = h2.settings.Settings(client=False, initial_values=self.first_settings)
        self.open_streams: dict[int, bytes] = {}
        self.received: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.server.initiate_connection()
        self.connection.connection_made(self.transport)
        self.exchange()

    def exchange(self) -> None:
        while True:
            data = self.server.data_to_send()
            if data:
                self.connection.data_received(data)
            written = b"".join(self.transport.written)
            self.transport.written.clear()
            if written:
                for event in self.server.receive_data(written):
                    self.on_event(event)
            if not data and not written:
                return

    def on_event(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            key = dict(event.headers)[b"apns-id"]
            self.open_streams[event.stream_id] = key
            self.received[event.stream_id] = b""
        elif isinstance(event, h2.events.DataReceived):
            self.received[event.stream_id] += event.data
        elif isinstance(event, h2.events.StreamEnded):
            key = self.open_streams[event.stream_id]
            assert self.received[event.stream_id] == self.bodies[key]
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.open_streams.pop(event.stream_id, None)

    def pick(self, number: int) -> int:
        return sorted(self.open_streams)[number % len(self.open_streams)]

    @rule(count=st.integers(1, 12), shape=st.sampled_from(["shared", "around", "own"]), lifetime=st.integers(1, 60))
    def submit(self, count: int, shape: str, lifetime: int) -> None:
        serial, self.serial = self.serial, self.serial + count
        ids = [b"%d" % number for number in range(serial, serial + count)]
        sizes = [0, 1, 50, 400, 20_000, 9_000]
        pieces = [b"p" * sizes[number * 7 % len(sizes)] for number in range(serial, serial + count)]
        bodies: dict[str, bytes | Wrapped] = {"shared": b"shared body", "around": Wrapped(b"<", b">"), "own": Wrapped()}
        headers = [(b"apns-topic", b"com.example"), (b"x-%d" % (serial % 5), b"y" * (serial % 40))]
        template = Template(
            authority=b"example", path=b"/send", headers=headers, varying=[Varying(b"apns-id")], body=bodies[shape]
        )
        for key, piece in zip(ids, pieces, strict=True):
            self.bodies[key] = {"shared": b"shared body", "around": b"<" + piece + b">", "own": piece}[shape]
            self.deadlines[key] = self.now + lifetime
        columns = [ids] if shape == "shared" else [ids, pieces]
        sent = make_job(count, template=template, columns=columns, timeout_seconds=lifetime)
        self.sent.append(sent)
        self.queue.submit(sent.job, self.now)
        self.connection.pump()
        self.exchange()

    @precondition(lambda self: self.open_streams)
    @rule(number=st.integers(0, 99), status=st.sampled_from([200, 400, 410, 429, 503]), body=st.binary(max_size=50))
    def answer(self, number: int, status: int, body: bytes) -> None:
        stream_id = self.pick(number)
        key = self.open_streams.pop(stream_id)
        self.expected[key] = (status, body)
        self.server.send_headers(stream_id, [(":status", str(status)), ("x-id", key.decode())], end_stream=not body)
        if body:
            self.server.send_data(stream_id, body, end_stream=True)
        self.exchange()

    @precondition(lambda self: self.open_streams)
    @rule(number=st.integers(0, 99), code=st.sampled_from([INTERNAL_ERROR, CANCEL, REFUSED_STREAM]))
    def reset(self, number: int, code: int) -> None:
        stream_id = self.pick(number)
        del self.open_streams[stream_id]
        self.server.reset_stream(stream_id, code)
        self.exchange()

    @precondition(lambda self: self.connection.state is State.OPEN)
    @rule(
        code=st.sampled_from([Codes.MAX_CONCURRENT_STREAMS, Codes.INITIAL_WINDOW_SIZE, Codes.HEADER_TABLE_SIZE]),
        value=st.sampled_from([0, 1, 5, 100, 300, 65_535]),
    )
    def change_settings(self, code: Codes, value: int) -> None:
        self.server.update_settings({code: value})
        self.exchange()

    @precondition(lambda self: self.open_streams)
    @rule(number=st.integers(0, 99), increment=st.integers(1, 500))
    def widen_a_stream(self, number: int, increment: int) -> None:
        stream_id = self.pick(number)
        if stream_id not in self.ended:
            self.server.increment_flow_control_window(increment, stream_id)
            self.exchange()

    @rule(increment=st.sampled_from([1, 500, 60_000]))
    def widen_the_connection(self, increment: int) -> None:
        self.server.increment_flow_control_window(increment)
        self.exchange()

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.connection.sweep(self.now)
        self.queue.expire(self.now, 0.0)
        self.exchange()

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 99), index=st.integers(0, 11))
    def cancel(self, number: int, index: int) -> None:
        job = self.sent[number % len(self.sent)].job
        out = self.queue.cancel(job, [index % job.size])
        self.connection.cancel(job, out)
        self.exchange()

    @rule(data=st.data())
    def go_away(self, data: st.DataObject) -> None:
        open_ids = sorted(self.open_streams)
        last = data.draw(st.sampled_from([0, *open_ids]))
        self.server.close_connection(last_stream_id=last)
        self.connection.data_received(self.server.data_to_send())
        self.connection.connection_lost(None)
        assert self.connection.state is State.CLOSED
        self.open()
        self.connection.pump()
        self.exchange()

    @invariant()
    def accounts_balance(self) -> None:
        ended = sum(len(sent.outcomes) for sent in self.sent)
        total = sum(sent.job.size for sent in self.sent)
        assert ended + self.queue.waiting + self.queue.in_flight == total
        assert self.queue.in_flight == self.connection.in_flight
        assert self.queue.waiting == sum(sent.job.waiting for sent in self.sent)

    @invariant()
    def answers_are_reported_as_they_were(self) -> None:
        for sent in self.sent:
            ids = sent.job.columns[0]
            for index, response in sent.outcomes.items():
                key = ids[index]
                assert key is not None
                if response.kind is Kind.ANSWERED:
                    assert (response.status, response.body) == self.expected[key]
                    if response.status != 200:
                        assert response.header(b"x-id") == key
                else:
                    assert key not in self.expected

    @invariant()
    def no_fault_but_what_the_server_asked_for(self) -> None:
        assert not [fault for fault in self.listener.faults if fault.reason not in ("peer_went_away", "closed_by_us")]

    def teardown(self) -> None:
        if not hasattr(self, "connection"):
            return
        self.connection.close()
        self.queue.end_all("closed_by_us")
        for sent in self.sent:
            assert len(sent.outcomes) == sent.job.size
            assert sent.job.unfinished == 0


Conversation.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestConversation = Conversation.TestCase
