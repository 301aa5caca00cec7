"""The simulator's TLS port, which can also behave like a network that is down."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

NETWORK_MODES: Final = ("up", "refuse", "close", "stall")


class _Negotiated(asyncio.Protocol):
    """Hands the connection to the protocol that ALPN chose; without ALPN, to the default."""

    def __init__(self, choose: Callable[[str | None], asyncio.Protocol]) -> None:
        self._choose = choose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        chosen = self._choose(tls.selected_alpn_protocol() if tls is not None else None)
        cast("asyncio.Transport", transport).set_protocol(chosen)
        chosen.connection_made(transport)


class _CloseAtOnce(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class _Stall(asyncio.Protocol):
    """Accepts TCP and never answers the TLS handshake."""

    def __init__(self, transports: set[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transports.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transports.discard(self._transport)


class Listener:
    """`up` serves; `refuse` has no socket; `close` accepts and cuts; `stall` accepts and says nothing."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, choose: Callable[[str | None], asyncio.Protocol]
    ) -> None:
        self._host = host
        self._context = context
        self._choose = choose
        self._server: asyncio.Server | None = None
        self._stalled: set[asyncio.Transport] = set()
        self.port = port
        self.mode = "refuse"

    async def switch(self, mode: str) -> None:
        """Changes how new connections are met; open ones stay. Raises ValueError, or OSError when the port is taken."""
        if mode not in NETWORK_MODES:
            raise ValueError(f"network: {mode!r} is not one of {', '.join(NETWORK_MODES)}")
        if mode == self.mode:
            return
        self.close()  # and `refuse` it stays, where the port is taken
        loop = asyncio.get_running_loop()
        if mode == "up":
            self._server = await loop.create_server(
                lambda: _Negotiated(self._choose), sock=self._socket(), ssl=self._context
            )
        elif mode == "close":
            self._server = await loop.create_server(_CloseAtOnce, sock=self._socket())
        elif mode == "stall":
            self._server = await loop.create_server(lambda: _Stall(self._stalled), sock=self._socket())
        self.mode = mode

    def _socket(self) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._host, self.port))
        except BaseException:
            listening.close()
            raise
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        return listening

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._stalled):
            transport.abort()

    def close(self) -> None:
        self._close()
        self.mode = "refuse"
