"""What aioapns' connection makes of bytes that come together."""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection

from pushcast.http2.request import Kind, Response
from pushcast.providers.apns.aioapns_connection import AioapnsConnection


class HeldTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_answers_that_come_in_the_same_bytes_as_a_goaway_count() -> None:
    """uvloop reads them together. To h2 the connection was over, and each answer became an unknown outcome."""
    connection, transport = AioapnsConnection("api.push.apple.com", "com.example", None), HeldTransport()
    connection.connection_made(transport)
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    asked: dict[int, asyncio.Future[Response]] = {}
    for stream_id in (1, 3, 5):
        headers = [(":method", "POST"), (":scheme", "https"), (":path", "/3/device/aa"), (":authority", "apple")]
        connection.conn.send_headers(stream_id, headers, end_stream=True)
        name = f"request {stream_id}"
        connection.request_streams[stream_id] = name
        asked[stream_id] = connection.requests[name] = asyncio.get_running_loop().create_future()
    connection.flush()
    server.receive_data(bytes(transport.written))
    settings = server.data_to_send()
    server.send_headers(1, [(":status", "200")], end_stream=True)
    server.send_headers(3, [(":status", "410")], end_stream=True)
    goaway = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + (3).to_bytes(4, "big") + bytes(4)
    connection.data_received(settings + goaway + server.data_to_send())
    assert {stream_id: future.result().kind for stream_id, future in asked.items()} == {
        1: Kind.ANSWERED,
        3: Kind.ANSWERED,
        5: Kind.REFUSED,
    }
    assert transport.closed
