"""The state of a simulated provider that a script sets: answer delays, maintenance, GOAWAYs, styles of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pushcast.http2 import frames as f
from pushcast.http2.server import ServerSettings
from pushcast.http2.server_styles import ANSWER_STYLES
from pushcast.simulators.connection import Connection
from pushcast.simulators.latency import Latency
from pushcast.simulators.service_rate import ServiceRate
from pushcast.simulators.values import Setting, attribute, fields, flag, number, one_of, optional, text, whole

GOAWAY_MODES: Final = ("graceful", "two_step", "abrupt")


class GoawayScript(NamedTuple):
    """When connections are told to go, and how."""

    after_requests: int | None
    after_seconds: float | None
    mode: str
    reason: str


def _or_none(name: str, value: Any) -> float:
    """A rate; 0 and null: there is none."""
    return number(name, 0 if value is None else value)


def _goaway(name: str, value: Any) -> GoawayScript:
    found = fields(name, value or {}, ("after_requests", "after_seconds", "mode", "reason"))
    return GoawayScript(
        optional(whole)("goaway.after_requests", found.get("after_requests")),
        optional(number)("goaway.after_seconds", found.get("after_seconds")),
        one_of(GOAWAY_MODES)("goaway.mode", found.get("mode", "graceful")),
        text("goaway.reason", found.get("reason", "")),
    )


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
        for take, found in self.read_state(value):
            take(found)

    def read_state(self, value: dict[str, Any]) -> list[tuple[Callable[[Any], None], Any]]:
        """What `set_state` does, as steps that do not fail. Raises ValueError."""
        setters = self._setters()
        found = fields("state", value, sorted(setters))
        return [(setters[name].take, setters[name].read(name, setting)) for name, setting in found.items()]

    def _setters(self) -> dict[str, Setting]:
        return {
            "latency": attribute(self, "latency", optional(lambda _, value: Latency.parse(value))),
            "service_rate": attribute(self, "service_rate", lambda *given: ServiceRate(_or_none(*given))),
            "maintenance": attribute(self, "maintenance", flag),
            "split_errors": attribute(self, "split_errors", flag),
            "frozen": Setting(flag, self._set_frozen),
            "goaway": Setting(_goaway, self._set_goaway),
            "streams": Setting(whole, self._set_streams),
            "excess_streams": attribute(
                self, "goaway_on_excess", lambda name, value: one_of(("refuse", "goaway"))(name, value) == "goaway"
            ),
            "answer_style": Setting(one_of(ANSWER_STYLES), self._set_answer_style),
            "bytes_per_second": Setting(_or_none, self._set_bytes_per_second),
        }

    def _set_frozen(self, value: bool) -> None:
        self.frozen = value
        for connection in self.connections.values():
            connection.freeze(self.frozen)

    def _set_goaway(self, value: GoawayScript) -> None:
        self.goaway_after, self.goaway_after_seconds, self.goaway_mode, self.goaway_reason = value

    def _set_answer_style(self, value: str) -> None:
        self.answer_style = value
        for connection in self.connections.values():
            connection.style = value

    def _set_bytes_per_second(self, value: float) -> None:
        self.bytes_per_second = value
        for connection in self.connections.values():
            connection.bytes_per_second = self.bytes_per_second

    def _set_streams(self, value: int) -> None:
        self.streams = value
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
