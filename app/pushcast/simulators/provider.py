"""What every simulated HTTP/2 provider shares: scripted effects, answer delays, connection scripts, state."""

from __future__ import annotations

import asyncio
import json
import logging
from random import Random
from typing import Any, ClassVar, Final

from pushcast.http2 import frames as f
from pushcast.http2.server import ServerConnection, ServerSettings
from pushcast.http2.server_hpack import Shape, literal, status_field
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection
from pushcast.simulators.effects import Effect, RuleBook
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.scripted_state import GOAWAY_MODES, ScriptedState
from pushcast.simulators.wheel import Answer, AnswerWheel

logger = logging.getLogger(__name__)

# Between the two GOAWAYs of a two-step shutdown: long enough for what is on its way to arrive (RFC 9113 §6.8).
_TWO_STEP_SECONDS: Final = 0.1
_HTML: Final = (
    b"<!DOCTYPE html>\n<html lang=en>\n<title>Error</title>\n<p>The server encountered a temporary error and could not"
    b" complete your request.<p>Please try again in 30 seconds.\n</html>\n"
)


class Provider(ScriptedState):
    """Base of the platforms' request handlers. Everything runs on one loop."""

    platform: ClassVar[str]

    def __init__(
        self, *, clock: SimulatorClock, random: Random, recorder: Recorder, checks: bool, settings: ServerSettings
    ) -> None:
        self.clock = clock
        self.random = random
        self.recorder = recorder
        self.checks = checks
        self.settings = settings
        self.rules = RuleBook(random)
        self.wheel = AnswerWheel(recorder.answered, self.failed)
        self.opened_total = 0
        self.max_active = 0
        super().__init__(settings)

    def new_connection(self) -> ServerConnection:
        self.opened_total += 1
        return ServerConnection(self, self.settings, self.opened_total)

    def opened(self, connection: Connection) -> None:
        self.connections[connection.number] = connection
        connection.style = self.answer_style
        connection.bytes_per_second = self.bytes_per_second
        if self.goaway_after_seconds is not None:
            asyncio.get_running_loop().call_later(self.goaway_after_seconds, self._aged, connection)
        if self.frozen:
            connection.freeze(True)

    def closed(self, connection: Connection, unanswered: int) -> None:
        self.recorder.unanswered += unanswered
        self.recorder.events["connections_closed"] += 1
        self.max_active = max(self.max_active, connection.max_active)
        self.connections.pop(connection.number, None)

    def pinged(self, connection: Connection) -> None:
        self.recorder.events["pings"] += 1

    def cancelled(self, connection: Connection, stream_id: int) -> None:
        self.recorder.events["cancelled_by_client"] += 1

    def violated(self, connection: Connection, what: str) -> None:
        self.recorder.violations[what] += 1
        if what == "too_many_streams" and self.goaway_on_excess and not connection.going_away:
            self.send_goaway(connection, "abrupt", "too many streams", code=f.PROTOCOL_ERROR)

    def request(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        """One whole request. A defect of ours costs this request alone, not those beside it on the connection."""
        try:
            self.handle(connection, stream_id, shape, values, body)
        except Exception as error:
            self.failed(connection, stream_id, error)

    def handle(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        """Answers, holds or resets the stream."""
        raise NotImplementedError

    def failed(self, connection: Connection, stream_id: int, error: Exception) -> None:
        """A defect of ours: the client gets a reset, `stats` a count and the log a traceback."""
        self.recorder.events["simulator_errors"] += 1
        logger.error("%s: request %d failed", self.platform, stream_id, exc_info=error)
        connection.reset(stream_id, f.INTERNAL_ERROR)

    def error_answer(self, status: int, effect: Effect, context: Any) -> tuple[Answer, str]:
        """The platform's answer for a scripted status and its verdict label. `context` is the platform's own."""
        raise NotImplementedError

    def goaway_debug(self, reason: str) -> bytes:
        """What the platform puts into GOAWAY for a reason."""
        return reason.encode()

    def delay_seconds(self) -> float:
        """Until a request that comes now is answered."""
        delay = self.latency.sample_seconds(self.random) if self.latency is not None else 0.0
        if self.service_rate.per_second:
            delay += self.service_rate.wait_seconds(asyncio.get_running_loop().time())
        return delay

    def send(
        self, connection: Connection, stream_id: int, answer: Answer, delay_seconds: float, marker: float = 0.0
    ) -> None:
        if delay_seconds > 0:
            self.wheel.add(delay_seconds, connection, stream_id, answer, marker)
            return
        connection.answer(stream_id, answer.block, answer.body, cut=answer.cut, trail=answer.trail)
        if marker:
            self.recorder.answered(marker)

    def softened(self, effect: Effect | None, token: bytes, delay: float) -> tuple[Effect | None, float, bool]:
        """What is left to perform, after how long, and whether a rule accepts the request without checks."""
        if effect is None:
            return None, delay, False
        if effect.kind == "latency":
            return None, delay + effect.delay_seconds, False
        if effect.kind == "fail" and not self.rules.still_fails(token, effect.count):
            return None, delay, False
        return (None, delay, True) if effect.kind == "ok" else (effect, delay, False)

    def perform(
        self, connection: Connection, stream_id: int, effect: Effect, delay_seconds: float, context: Any
    ) -> str:
        """Does what an effect says, other than `ok`, `latency` and `fail`; returns the verdict label."""
        kind = effect.kind
        if kind in {"status", "fail"}:
            answer, label = self.error_answer(effect.status, effect, context)
            if (self.split_errors or effect.split) and len(answer.body) > 1:
                answer.cut = len(answer.body) // 2
            self.send(connection, stream_id, answer, delay_seconds)
            return label
        if kind == "empty":
            block = status_field(effect.status) + retry_after_field(effect)
            self.send(connection, stream_id, Answer(block), delay_seconds)
            return f"{effect.status} without body"
        if kind == "html":
            block = status_field(effect.status) + literal(b"content-type", b"text/html; charset=UTF-8")
            self.send(connection, stream_id, Answer(block + retry_after_field(effect), _HTML), delay_seconds)
            return f"{effect.status} HTML"
        if kind == "never":
            connection.hold(stream_id)
        elif kind == "reset":
            connection.reset(stream_id, effect.error_code)
        elif kind == "partial":
            connection.begin_answer(stream_id, status_field(effect.status or 503), b'{"rea')
            connection.reset(stream_id, effect.error_code)
        elif kind == "drop":
            connection.hold(stream_id)
            connection.abort()
        elif kind == "goaway":
            connection.hold(stream_id)
            self.send_goaway(connection, self.goaway_mode, self.goaway_reason)
        return kind

    def after_request(self, connection: Connection) -> None:
        """Runs the GOAWAY script; call it behind each request while `goaway_after` is set."""
        if self.goaway_after and connection.requests >= self.goaway_after and not connection.going_away:
            self.send_goaway(connection, self.goaway_mode, self.goaway_reason)

    def _aged(self, connection: Connection) -> None:
        if connection.number in self.connections and not connection.going_away:
            self.send_goaway(connection, self.goaway_mode, self.goaway_reason)
            connection.flush()

    def send_goaway(
        self,
        connection: Connection,
        mode: str,
        reason: str = "",
        *,
        code: int = f.NO_ERROR,
        last_stream_id: int | None = None,
    ) -> None:
        """graceful: answers come, then the connection closes. two_step: first 2^31-1, then the real last id.
        abrupt: closes at once, what is in flight at or below the last id never gets an answer."""
        if mode not in GOAWAY_MODES:
            raise ValueError(f"goaway: mode {mode!r} is not one of {', '.join(GOAWAY_MODES)}")
        self.recorder.events[f"goaway_{mode}"] += 1
        debug = self.goaway_debug(reason) if reason else b""
        if mode == "two_step":
            connection.goaway(code, debug, last_stream_id=f.LARGEST_STREAM_ID)
            asyncio.get_running_loop().call_later(_TWO_STEP_SECONDS, self._second_step, connection, code, debug)
            return
        connection.goaway(code, debug, last_stream_id=last_stream_id)
        if mode == "abrupt":
            asyncio.get_running_loop().call_soon(connection.close)
        else:
            connection.drain()

    def _second_step(self, connection: Connection, code: int, debug: bytes) -> None:
        connection.goaway(code, debug)
        connection.drain()
        connection.flush()

    def stop(self) -> None:
        """Ends timers; connections are closed by the caller."""
        self.wheel.clear()

    def reset(self) -> None:
        """Counters, rules and state as at the start; connections stay."""
        self.rules.reset()
        self.recorder.reset()
        self.clock.reset()
        self.max_active = 0
        was_frozen = self.frozen
        self._reset_state()
        for connection in self.connections.values():
            connection.style = self.answer_style
            connection.bytes_per_second = 0.0
        if was_frozen:
            self._set_frozen(False)

    def stats(self) -> dict[str, Any]:
        active = [connection.max_active for connection in self.connections.values()]
        return {
            "platform": self.platform,
            "checks": self.checks,
            "now": self.clock.now(),
            **self.recorder.summary(),
            "connections": {"open": len(self.connections), "opened": self.opened_total},
            "max_concurrent_streams": max([self.max_active, *active]),
        }


def retry_after_field(effect: Effect) -> bytes:
    """The `retry-after` field of a scripted answer, or nothing."""
    return b"" if effect.retry_after is None else literal(b"retry-after", effect.retry_after.encode())


def json_body(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, separators=(",", ":")).encode()
