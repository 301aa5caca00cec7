"""An HTTP proxy for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"


class Tunnel:
    """A proxy that answers CONNECT with `answer` and, when that is 200, forwards."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        writer.write(self.answer)
        if b" 200" not in self.answer:
            writer.close()
            return
        host, port = head.split()[1].decode().split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(self.pump(reader, far_writer), self.pump(far_reader, writer))

    @staticmethod
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


@asynccontextmanager
async def tunnel(answer: bytes = ESTABLISHED) -> AsyncIterator[tuple[Tunnel, int]]:
    """With the port it listens at."""
    proxy = Tunnel(answer)
    listener = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with listener:
        yield proxy, listener.sockets[0].getsockname()[1]
