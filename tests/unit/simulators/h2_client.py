"""An HTTP/2 client on the h2 package, for tests that must see single frames: independent of our own frame code."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import h2.connection
import h2.events
import h2.settings
import jwt

from pushcast.simulators import Simulator


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    data_frames: int = 0
    ended: bool = False
    reset_code: int | None = None

    @property
    def reason(self) -> Any:
        return json.loads(self.body)["reason"]

    @property
    def over(self) -> bool:
        return self.ended or self.reset_code is not None


class _Machine(h2.connection.H2Connection):
    """h2 counts a connection as closed at GOAWAY; RFC 9113 §6.8 lets the answers still come."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        received = super()._receive_goaway_frame(frame)
        self.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        return received


class H2Client(asyncio.Protocol):
    """`acknowledge=False` never replenishes the receive window, as aioapns 4.0 does."""

    def __init__(self, *, acknowledge: bool = True, initial_window: int | None = None) -> None:
        self.machine = _Machine()
        self._initial_window = initial_window
        self.answers: dict[int, Answer] = {}
        self.settings: list[dict[int, int]] = []
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.pings = 0
        self.received_bytes = 0
        self.lost = False
        self.transport: asyncio.Transport | None = None
        self._acknowledge = acknowledge
        self._changed = asyncio.Event()

    @classmethod
    async def connect(cls, simulator: Simulator, *, alpn: bool = True, **options: Any) -> H2Client:
        context = ssl.create_default_context(cafile=str(simulator.ca_file))
        if alpn:
            context.set_alpn_protocols(["h2"])
        if "certificate" in options:
            context.load_cert_chain(*options.pop("certificate"))
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: cls(**options), "127.0.0.1", simulator.port, ssl=context, server_hostname="localhost"
        )
        await client.until(lambda: bool(client.settings))
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.machine.initiate_connection()
        if self._initial_window is not None:
            self.machine.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self._initial_window})
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._changed.set()

    def flush(self) -> None:
        assert self.transport is not None
        self.transport.write(self.machine.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.machine.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                answer = self.answers[event.stream_id]
                answer.headers = {name.decode(): value.decode() for name, value in event.headers}
                answer.status = int(answer.headers[":status"])
            elif isinstance(event, h2.events.DataReceived):
                answer = self.answers[event.stream_id]
                answer.body += event.data
                answer.data_frames += 1
                self.received_bytes += len(event.data)
                if self._acknowledge and event.flow_controlled_length:
                    self.machine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answers[event.stream_id].ended = True
            elif isinstance(event, h2.events.StreamReset):
                self.answers[event.stream_id].reset_code = event.error_code
            elif isinstance(event, h2.events.RemoteSettingsChanged):
                self.settings.append({int(code): change.new_value for code, change in event.changed_settings.items()})
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaways.append(event)
            elif isinstance(event, h2.events.PingReceived):
                self.pings += 1
        if not self.lost:
            self.flush()
        self._changed.set()

    async def until(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def post(self, path: str, headers: dict[str, str], body: bytes, *, flush: bool = True, end: bool = True) -> int:
        stream_id = self.machine.get_next_available_stream_id()
        self.answers[stream_id] = Answer()
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        self.machine.send_headers(stream_id, fields + list(headers.items()), end_stream=end and not body)
        if body:
            self.machine.send_data(stream_id, body, end_stream=end)
        if flush:
            self.flush()
        return stream_id

    async def answer(self, stream_id: int) -> Answer:
        await self.until(lambda: self.answers[stream_id].over)
        return self.answers[stream_id]

    async def call(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return await self.answer(self.post(path, headers, body))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


async def eventually(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """For what the simulator sees after the client: polls, fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


_TOKENS: dict[tuple[str, str, str], str] = {}


def provider_token(simulator: Simulator, app: str = "news", **changes: Any) -> str:
    """An `authorization` value for an app of an APNs simulator; `changes` override claims, `kid` the key id.

    The same for the same arguments: a new one each time would be refused as too many updates.
    """
    known = (simulator.url, app, repr(sorted(changes.items())))
    if known not in _TOKENS:
        credentials = simulator.credentials["apps"][app]
        kid = changes.pop("kid", credentials["key_id"])
        claims = {"iss": credentials["team_id"], "iat": int(simulator.clock.now()), **changes}
        key = Path(credentials["key_file"]).read_text()
        _TOKENS[known] = "bearer " + jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})
    return _TOKENS[known]


def push_headers(simulator: Simulator, app: str = "news", **changes: str) -> dict[str, str]:
    """Headers of an alert; `changes` by name with underscores, an empty value leaves one out."""
    headers = {
        "authorization": provider_token(simulator, app),
        "apns-topic": simulator.credentials["apps"][app]["topic"],
        "apns-push-type": "alert",
        "apns-priority": "10",
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value}


BODY = b'{"aps":{"alert":"hello"}}'


def device(token: str) -> str:
    return "/3/device/" + token.ljust(64, "0")
