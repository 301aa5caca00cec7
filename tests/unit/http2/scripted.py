"""A server on a loopback socket that does what a test scripts, frame by frame."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trustme
from hpack import Decoder, Encoder

from pushcast.http2.frames import (
    DATA,
    FLAG_ACK,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    GOAWAY,
    HEADERS,
    LARGEST_STREAM_ID,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_MAX_CONCURRENT_STREAMS,
    pack_data,
    pack_goaway,
    pack_headers,
    pack_ping,
    pack_rst_stream,
    pack_settings,
    pack_settings_ack,
    pack_window_update,
)
from unit.http2.splitter import FrameSplitter

Script = Callable[["Peer", int, dict[bytes, bytes], bytes], None]


def answer_200(peer: Peer, stream_id: int, headers: dict[bytes, bytes], body: bytes) -> None:
    peer.answer(stream_id)


class Peer(asyncio.Protocol):
    """One accepted connection. `number` counts connections from 0; `seen` are the requests in order of their end."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.number = len(server.peers)
        self.seen: list[tuple[int, dict[bytes, bytes], bytes]] = []
        self.most_streams = 0
        self.alive = True
        self.settled = False  # the client has read our SETTINGS
        self.pings = 0
        self.goaway_codes: list[int] = []
        self._open: dict[int, tuple[dict[bytes, bytes], bytearray]] = {}
        self._splitter = FrameSplitter()
        self._preface = b""
        self._decoder, self._encoder = Decoder(), Encoder()
        self._encoder.header_table_size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.server.peers.append(self)
        if self.server.silent:
            return
        self.say(pack_settings({SETTINGS_MAX_CONCURRENT_STREAMS: self.server.streams}) + pack_window_update(0, 1 << 29))

    def say(self, data: bytes) -> None:
        if self.alive:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False

    def data_received(self, data: bytes) -> None:
        if len(self._preface) < len(PREFACE):
            self._preface += data
            if len(self._preface) < len(PREFACE):
                return
            assert self._preface.startswith(PREFACE)
            data = self._preface[len(PREFACE) :]
        for frame in self._splitter.feed(data):
            if frame.type == HEADERS:
                assert frame.flags & FLAG_END_HEADERS
                self._decoder.max_allowed_table_size = 4_096
                fields = {bytes(name): bytes(value) for name, value in self._decoder.decode(frame.payload, raw=True)}
                self._open[frame.stream_id] = (fields, bytearray())
                self.most_streams = max(self.most_streams, len(self._open))
            elif frame.type == DATA:
                self._open[frame.stream_id][1].extend(frame.payload)
            elif frame.type == RST_STREAM:
                self._open.pop(frame.stream_id, None)
            elif frame.type == SETTINGS and frame.flags & FLAG_ACK:
                self.settled = True
            elif frame.type == SETTINGS:
                self.say(pack_settings_ack())
            elif frame.type == PING and not frame.flags & FLAG_ACK:
                self.pings += 1
                if not self.server.silent:
                    self.say(pack_ping(frame.payload, ack=True))
            elif frame.type == GOAWAY:
                self.goaway_codes.append(frame.payload[7])
            if frame.type in (HEADERS, DATA) and frame.flags & FLAG_END_STREAM:
                fields, body = self._open[frame.stream_id]
                self.seen.append((frame.stream_id, fields, bytes(body)))
                self.server.script(self, frame.stream_id, fields, bytes(body))

    def answer(self, stream_id: int, status: int = 200, body: bytes = b"") -> None:
        self._open.pop(stream_id, None)
        block = self._encoder.encode([(":status", str(status))])
        self.say(pack_headers(stream_id, block, end_stream=not body) + (pack_data(stream_id, body) if body else b""))

    def reset(self, stream_id: int, code: int) -> None:
        self._open.pop(stream_id, None)
        self.say(pack_rst_stream(stream_id, code))

    def go_away(self, last_id: int = LARGEST_STREAM_ID, code: int = 0, debug: bytes = b"") -> None:
        self.say(pack_goaway(last_id, code, debug))


class Server:
    def __init__(self, script: Script, streams: int) -> None:
        self.script = script
        self.streams = streams
        self.silent = False
        self.peers: list[Peer] = []
        self.port = 0

    @property
    def alive(self) -> int:
        return sum(peer.alive for peer in self.peers)

    @property
    def requests(self) -> list[dict[bytes, bytes]]:
        return [headers for peer in self.peers for _, headers, _ in peer.seen]


@asynccontextmanager
async def serving(
    script: Script = answer_200, *, streams: int = 1_000, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(script, streams)
    listener = await asyncio.get_running_loop().create_server(lambda: Peer(server), "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for peer in server.peers:
            peer.transport.abort()


def server_context(authority: trustme.CA, *, alpn: list[str] | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def within(awaitable: Awaitable[Any], seconds: float = 20.0) -> Any:
    return await asyncio.wait_for(awaitable, seconds)
