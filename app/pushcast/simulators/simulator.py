"""A running simulator: the provider behind its TLS port, the control port beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from pushcast.http2 import frames as f
from pushcast.simulators.apns.service import ApnsProvider
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection
from pushcast.simulators.effects import Rule
from pushcast.simulators.expo.service import ExpoProvider
from pushcast.simulators.fcm.service import FcmProvider
from pushcast.simulators.listener import NETWORK_MODES, Listener
from pushcast.simulators.provider import Provider
from pushcast.simulators.screens import Screens
from pushcast.simulators.scripted_state import GOAWAY_MODES
from pushcast.simulators.values import fields, one_of, optional, text, whole
from pushcast.simulators.webpush.service import WebPushProvider
from pushcast.simulators.webpush.subscriptions import Subscription

_LARGEST_CODE = 2**32 - 1
_SETTING_NAMES = {
    "header_table_size": f.SETTINGS_HEADER_TABLE_SIZE,
    "max_concurrent_streams": f.SETTINGS_MAX_CONCURRENT_STREAMS,
    "initial_window_size": f.SETTINGS_INITIAL_WINDOW_SIZE,
    "max_frame_size": f.SETTINGS_MAX_FRAME_SIZE,
    "max_header_list_size": f.SETTINGS_MAX_HEADER_LIST_SIZE,
}


class ControlPort(Protocol):
    """The server of the control API (`control.ControlServer`)."""

    port: int

    async def open(self, simulator: Simulator) -> None:
        """Listens, and answers for this simulator."""

    async def close(self) -> None:
        """Listens no more."""


class Simulator:
    """Use as `async with`, or `open` and `close`. Everything runs on the loop that opened it; nothing here blocks.

    `url`, `control_url` and `credentials` are set once it is open; `credentials` holds paths, never key material.
    """

    def __init__(
        self,
        provider: Provider,
        listener: Listener,
        control: ControlPort,
        *,
        ca_file: Path,
        work_dir: Path,
        credentials: Callable[[str], dict[str, Any]],
    ) -> None:
        """`credentials` is asked once, with the URL, when the port is known."""
        self.provider = provider
        self.platform = provider.platform
        self.ca_file = ca_file
        self.work_dir = work_dir
        self.credentials: dict[str, Any] = {}
        self._credentials = credentials
        self._listener = listener
        self._control = control

    @property
    def clock(self) -> SimulatorClock:
        return self.provider.clock

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.port}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self._control.port}"

    def describe(self) -> dict[str, Any]:
        """The line that `pushcast sim` prints."""
        return {
            "platform": self.platform,
            "url": self.url,
            "control_url": self.control_url,
            "ca_file": str(self.ca_file),
            "credentials": self.credentials,
        }

    async def open(self) -> None:
        """Raises OSError when a port is taken; it listens nowhere then."""
        await self._listener.switch("up")
        try:
            self.credentials = self._credentials(self.url)
            await self._control.open(self)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        self._listener.close()
        self.provider.stop()
        for connection in self._chosen(None):
            connection.abort()
        await self._control.close()

    async def __aenter__(self) -> Simulator:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def set_rules(self, rules: Iterable[dict[str, Any]]) -> None:
        """Replaces all rules; their counters start anew. Raises ValueError and then changes nothing.

        One list may serve several simulators: rules that name another provider are left out.
        """
        parsed = [Rule.parse(rule) for rule in rules]
        self.provider.rules.replace([rule for rule in parsed if rule.platform in {None, self.platform}])

    async def set_state(self, value: dict[str, Any]) -> None:
        """`network` and what the provider knows; see `state`. Raises ValueError, or OSError when another process has
        taken the port meanwhile; then nothing is changed, but that nobody is served in place of `close` and `stall`."""
        of_provider = {name: each for name, each in value.items() if name != "network"}
        network = optional(one_of(NETWORK_MODES))("network", value.get("network"))
        self.provider.read_state(of_provider)
        if network is not None:
            await self._listener.switch(network)
        self.provider.set_state(of_provider)

    def state(self) -> dict[str, Any]:
        return {"network": self._listener.mode, **self.provider.state()}

    def goaway(
        self,
        mode: str = "graceful",
        reason: str = "",
        *,
        code: int = f.NO_ERROR,
        last_stream_id: int | None = None,
        connections: list[int] | None = None,
    ) -> int:
        """Returns how many connections were told. Raises ValueError and then tells nobody."""
        one_of(GOAWAY_MODES)("goaway.mode", mode)
        text("goaway.reason", reason)
        whole("goaway.code", code, most=_LARGEST_CODE)
        optional(whole)("goaway.last_stream_id", last_stream_id)
        chosen = self._chosen(connections)
        for connection in chosen:
            self.provider.send_goaway(connection, mode, reason, code=code, last_stream_id=last_stream_id)
            connection.flush()
        return len(chosen)

    def reset_streams(self, code: int = f.INTERNAL_ERROR, *, count: int | None = None) -> int:
        """RST_STREAM on open streams (held answers, unfinished requests), lowest ids first; returns how many."""
        done = 0
        for connection in self._chosen(None):
            for stream_id in connection.open_stream_ids:
                if count is not None and done >= count:
                    break
                connection.reset(stream_id, code)
                done += 1
            connection.flush()
        return done

    def drop(self, connections: list[int] | None = None) -> int:
        """Cuts TCP connections without GOAWAY or TLS close."""
        chosen = self._chosen(connections)
        for connection in chosen:
            connection.abort()
        return len(chosen)

    def send_settings(self, values: dict[str, int]) -> int:
        """SETTINGS by their lower-case RFC 9113 names to every connection. Raises ValueError."""
        found = fields("settings", values, list(_SETTING_NAMES))
        told = {_SETTING_NAMES[name]: whole(f"settings.{name}", value) for name, value in found.items()}
        chosen = self._chosen(None)
        for connection in chosen:
            connection.send_settings(told)
            connection.flush()
        return len(chosen)

    def stats(self, *, copies: bool = False) -> dict[str, Any]:
        stats = self.provider.stats()
        return {**stats, "copies": self.provider.recorder.copies()} if copies else stats

    def deliveries(self, since: int = 0, limit: int = 1_000) -> list[dict[str, Any]]:
        return self.provider.recorder.deliveries(since, limit)

    def set_device(self, token: str, *, online: bool) -> None:
        """apns only: whether a device is reachable. Raises ValueError elsewhere."""
        self._apns().set_device(token, online=online)

    def screen(self, token: str) -> dict[str, Any]:
        """What the user of a device sees: `shown`, `alerts`, `badge`; for apns also `stored` and `online`. webpush: by
        endpoint. Raises ValueError while the store is off."""
        if isinstance(self.provider, ApnsProvider):
            return self.provider.screen(token)
        address = token.rpartition("/")[2] if isinstance(self.provider, WebPushProvider) else token
        return self._screens().screen(address.encode())

    def subscribe(self, vapid_public_key: bytes | None = None, **options: str) -> Subscription:
        """webpush only: a subscription whose browser the simulator is; see WebPushProvider.subscribe."""
        return self._webpush().subscribe(vapid_public_key, **options)

    def messages(self, endpoint: str) -> list[dict[str, Any]]:
        """webpush only: what the browser behind an endpoint received, decrypted. Raises ValueError elsewhere."""
        return self._webpush().messages(endpoint)

    def _screens(self) -> Screens:
        assert isinstance(self.provider, FcmProvider | ExpoProvider | WebPushProvider)
        return self.provider.screens

    def _webpush(self) -> WebPushProvider:
        if not isinstance(self.provider, WebPushProvider):
            raise ValueError(f"{self.platform} has no subscriptions")  # noqa: TRY004 - becomes a 400
        return self.provider

    def _apns(self) -> ApnsProvider:
        if not isinstance(self.provider, ApnsProvider):
            raise ValueError(f"{self.platform} has no view of what the user sees")  # noqa: TRY004 - becomes a 400
        return self.provider

    def reset(self) -> None:
        """Counters, rules, state and clock as at the start; connections and the listening port stay."""
        self.provider.reset()

    def _chosen(self, numbers: list[int] | None) -> list[Connection]:
        return [c for c in list(self.provider.connections.values()) if numbers is None or c.number in numbers]
