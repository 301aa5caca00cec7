"""The state of a simulated provider that a script sets: answer delays, maintenance, GOAWAYs, styles of answers."""

from __future__ import annotations

from typing import Any, Final

from pushcast.http2 import frames as f
from pushcast.http2.server import ServerSettings
from pushcast.http2.server_styles import ANSWER_STYLES
from pushcast.simulators.connection import Connection
from pushcast.simulators.latency import Latency
from pushcast.simulators.service_rate import ServiceRate

GOAWAY_MODES: Final = ("graceful", "two_step", "abrupt")


class ScriptedState:
    """What `PUT /state` changes. A platform adds its own to `_reset_state`, `_setters` and `state`."""

    def __init__(self, settings: ServerSettings) -> None:
        self.connections: dict[int, Connection] = {}
        self.initial_settings = settings
        self._reset_state()

    def _reset_state(self) -> None:
        self.latency: Latency | None = None
        self.service_rate = ServiceRate()
        self.maintenance = False
        self.split_errors = False
        self.frozen = False
        self.goaway_after: int | None = None
        self.goaway_after_seconds: float | None = None
        self.goaway_on_excess = False
        self.answer_style = "plain"
        self.bytes_per_second = 0.0
        self.goaway_mode = "graceful"
        self.goaway_reason = ""
        self.streams = self.initial_settings.max_concurrent_streams

    def set_state(self, value: dict[str, Any]) -> None:
        """Changes what `value` names and nothing else. Raises ValueError before anything is changed."""
        setters = self._setters()
        unknown = set(value) - set(setters)
        if unknown:
            raise ValueError(f"state: unknown {sorted(unknown)}; known: {', '.join(sorted(setters))}")
        for name, setting in value.items():
            setters[name](setting)

    def _setters(self) -> dict[str, Any]:
        return {
            "latency": self._set_latency,
            "service_rate": lambda value: setattr(self, "service_rate", ServiceRate(float(value or 0))),
            "maintenance": lambda value: setattr(self, "maintenance", bool(value)),
            "split_errors": lambda value: setattr(self, "split_errors", bool(value)),
            "frozen": self._set_frozen,
            "goaway": self._set_goaway,
            "streams": self._set_streams,
            "excess_streams": self._set_excess,
            "answer_style": self._set_answer_style,
            "bytes_per_second": self._set_bytes_per_second,
        }

    def _set_latency(self, value: dict[str, Any] | float | None) -> None:
        self.latency = None if value is None else Latency.parse(value)

    def _set_frozen(self, value: bool) -> None:
        self.frozen = bool(value)
        for connection in self.connections.values():
            connection.freeze(self.frozen)

    def _set_goaway(self, value: dict[str, Any] | None) -> None:
        value = value or {}
        unknown = set(value) - {"after_requests", "after_seconds", "mode", "reason"}
        if unknown:
            raise ValueError(f"goaway: unknown {sorted(unknown)}")
        mode = value.get("mode", "graceful")
        if mode not in GOAWAY_MODES:
            raise ValueError(f"goaway: mode {mode!r} is not one of {', '.join(GOAWAY_MODES)}")
        self.goaway_after = value.get("after_requests")
        self.goaway_after_seconds = value.get("after_seconds")
        self.goaway_mode = mode
        self.goaway_reason = value.get("reason", "")

    def _set_answer_style(self, value: str) -> None:
        if value not in ANSWER_STYLES:
            raise ValueError(f"answer_style: {value!r} is not one of {', '.join(ANSWER_STYLES)}")
        self.answer_style = value
        for connection in self.connections.values():
            connection.style = value

    def _set_bytes_per_second(self, value: float | None) -> None:
        self.bytes_per_second = float(value or 0)
        for connection in self.connections.values():
            connection.bytes_per_second = self.bytes_per_second

    def _set_excess(self, value: str) -> None:
        if value not in {"refuse", "goaway"}:
            raise ValueError(f"excess_streams: {value!r} is not refuse or goaway")
        self.goaway_on_excess = value == "goaway"

    def _set_streams(self, value: int) -> None:
        self.streams = int(value)
        for connection in self.connections.values():
            connection.send_settings({f.SETTINGS_MAX_CONCURRENT_STREAMS: self.streams})
            connection.flush()

    def state(self) -> dict[str, Any]:
        latency = self.latency
        return {
            "latency": None
            if latency is None
            else {"ms": latency.ms, "jitter_ms": latency.jitter_ms, "p99_ms": latency.p99_ms},
            "service_rate": self.service_rate.per_second,
            "maintenance": self.maintenance,
            "split_errors": self.split_errors,
            "frozen": self.frozen,
            "streams": self.streams,
            "answer_style": self.answer_style,
            "bytes_per_second": self.bytes_per_second,
            "excess_streams": "goaway" if self.goaway_on_excess else "refuse",
            "goaway": {
                "after_requests": self.goaway_after,
                "after_seconds": self.goaway_after_seconds,
                "mode": self.goaway_mode,
                "reason": self.goaway_reason,
            },
        }
