"""The control API of a simulator: plain HTTP on loopback, JSON in and out.

A wrong request gets 400 and `{"error": …}` and changes nothing.

PUT /rules           [{match: {provider, token|prefix|topic|project|app, nth}, effect, times, probability, retry_after,
                     timestamp_ms, split}]; effects as in `Effect.parse`. The first rule that meets a request decides.
PUT /state           every platform: latency (ms, {ms, jitter_ms} or {p50_ms, p99_ms}), service_rate (requests a
                     second; what comes faster queues; 0: any), maintenance, split_errors, frozen, streams,
                     excess_streams (refuse, goaway), answer_style, bytes_per_second, network (up, refuse, close,
                     stall), goaway {after_requests, after_seconds, mode, reason}.
                     apns: bad_device_token_limit, revoked_keys, token_update_scope (connection, team), store.
                     fcm: quota {project_per_minute, device_per_minute, device_per_hour, collapsible,
                     retry_after} or null,
                     idle_seconds, max_age_seconds, max_pings, ping_seconds, trailing_data, access_token_seconds,
                     token_endpoint, revoked_projects, revoke_access_tokens.
                     expo: per_second, receipt_delay_seconds, enforce_access_token, deliver_twice (probability).
                     webpush: decrypt.
GET /rules /state    what holds now.
GET /stats           counters; ?detail=copies adds {"<token>:<body hash>": accepted copies}.
GET /deliveries      ?since=<sequence>&limit=: the log, oldest first.
POST /goaway         {mode: graceful|two_step|abrupt, reason, code, last_stream_id, connections: [numbers]}
POST /rst            {code, count}: open streams. POST /drop {connections}. POST /settings {max_concurrent_streams, …}.
POST /clock          {freeze, set, advance_seconds}. POST /reset: counters, rules, state and clock as at the start.
POST /devices        apns: {token, online}. GET /screen?token=: what the user sees.
POST /subscribe      webpush: {count, vapid_public_key, personality, verdict}. GET /messages?endpoint=: decrypted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from pushcast.simulators.effects import Effect
from pushcast.simulators.values import fields, flag, number, optional, text, whole

if TYPE_CHECKING:
    from pushcast.simulators.simulator import Simulator

_MAX_SUBSCRIPTIONS: Final = 10_000
#: The end of the year 9999.
MAX_CLOCK_SECONDS: Final = 253_402_300_799.0
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlServer:
    """The port and its routes; open between `open` and `close`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._runner: web.AppRunner | None = None
        self.port = port

    async def open(self, simulator: Simulator) -> None:
        application = web.Application(middlewares=[_errors])
        application.add_routes(_routes(simulator))
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ValueError, KeyError, TypeError, OSError) as error:  # OSError: a port that is no longer free
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)


async def _json(request: web.Request) -> Any:
    body = await request.text()
    try:
        return json.loads(body) if body.strip() else {}
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None


async def _body(request: web.Request) -> dict[str, Any]:
    value = await _json(request)
    if not isinstance(value, dict):
        raise ValueError("the body is not an object")  # noqa: TRY004 - becomes a 400
    return value


def _connections(value: dict[str, Any]) -> list[int] | None:
    numbers = value.get("connections")
    if numbers is not None and not (isinstance(numbers, list) and all(isinstance(each, int) for each in numbers)):
        raise ValueError("connections: not a list of numbers")
    return numbers


def _routes(simulator: Simulator) -> list[web.RouteDef]:
    async def rules(request: web.Request) -> web.Response:
        value = await _json(request)
        value = value["rules"] if isinstance(value, dict) else value
        if not isinstance(value, list):
            raise ValueError("rules: not a list")  # noqa: TRY004 - becomes a 400
        simulator.set_rules(value)
        return web.json_response({"rules": len(value)})

    async def show_rules(request: web.Request) -> web.Response:
        rows = [
            {"effect": rule.effect.kind, "status": rule.effect.status, "seen": rule.seen, "applied": rule.applied}
            for rule in simulator.provider.rules.rules
        ]
        return web.json_response(rows)

    async def state(request: web.Request) -> web.Response:
        await simulator.set_state(await _body(request))
        return web.json_response(simulator.state())

    async def show_state(request: web.Request) -> web.Response:
        return web.json_response(simulator.state())

    async def goaway(request: web.Request) -> web.Response:
        value = await _body(request)
        told = simulator.goaway(
            value.get("mode", "graceful"),
            value.get("reason", ""),
            code=value.get("code", 0),
            last_stream_id=value.get("last_stream_id"),
            connections=_connections(value),
        )
        return web.json_response({"connections": told})

    async def rst(request: web.Request) -> web.Response:
        value = await _body(request)
        count = optional(whole)("count", value.get("count"))
        return web.json_response({"streams": simulator.reset_streams(_code(value), count=count)})

    async def drop(request: web.Request) -> web.Response:
        return web.json_response({"connections": simulator.drop(_connections(await _body(request)))})

    async def settings(request: web.Request) -> web.Response:
        return web.json_response({"connections": simulator.send_settings(await _body(request))})

    async def reset(request: web.Request) -> web.Response:
        simulator.reset()
        return web.json_response({})

    async def clock(request: web.Request) -> web.Response:
        value = fields("clock", await _body(request), ("advance_seconds", "set", "freeze"))
        ahead = number("advance_seconds", value.get("advance_seconds", 0.0), -MAX_CLOCK_SECONDS, MAX_CLOCK_SECONDS)
        at = optional(partial(number, most=MAX_CLOCK_SECONDS))("set", value.get("set"))
        frozen = optional(flag)("freeze", value.get("freeze"))
        if frozen is not None:
            simulator.clock.freeze(frozen)
        if at is not None:
            simulator.clock.set(at)
        simulator.clock.advance(ahead)
        return web.json_response({"now": simulator.clock.now()})

    async def deliveries(request: web.Request) -> web.Response:
        since, limit = int(request.query.get("since", "0")), int(request.query.get("limit", "1000"))
        return web.json_response({"deliveries": simulator.deliveries(since, limit)})

    async def stats(request: web.Request) -> web.Response:
        return web.json_response(simulator.stats(copies=request.query.get("detail") == "copies"))

    async def devices(request: web.Request) -> web.Response:
        value = await _body(request)
        simulator.set_device(text("token", value["token"]), online=flag("online", value["online"]))
        return web.json_response({})

    async def screen(request: web.Request) -> web.Response:
        return web.json_response(simulator.screen(request.query["token"]))

    async def subscribe(request: web.Request) -> web.Response:
        value = await _body(request)
        count = whole("count", value.pop("count", 1), 1, _MAX_SUBSCRIPTIONS)
        key = optional(text)("vapid_public_key", value.pop("vapid_public_key", None))
        point = None if key is None else base64.urlsafe_b64decode(key + "===")
        made = [simulator.subscribe(point, **value) for _ in range(count)]
        rows = [{"endpoint": row.endpoint, "p256dh": row.p256dh, "auth": row.auth} for row in made]
        return web.json_response({"subscriptions": rows})

    async def messages(request: web.Request) -> web.Response:
        return web.json_response({"messages": simulator.messages(request.query["endpoint"])})

    return [
        web.post("/subscribe", subscribe),
        web.get("/messages", messages),
        web.post("/devices", devices),
        web.get("/screen", screen),
        web.put("/rules", rules),
        web.get("/rules", show_rules),
        web.put("/state", state),
        web.get("/state", show_state),
        web.post("/goaway", goaway),
        web.post("/rst", rst),
        web.post("/drop", drop),
        web.post("/settings", settings),
        web.post("/reset", reset),
        web.post("/clock", clock),
        web.get("/deliveries", deliveries),
        web.get("/stats", stats),
    ]


def _code(value: dict[str, Any]) -> int:
    return Effect.parse(f"reset:{value.get('code', 'INTERNAL_ERROR')}").error_code
