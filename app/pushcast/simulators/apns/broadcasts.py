"""Requests to `/1/apps/…` (channel management) and `/4/broadcasts/…` (publishing); off the fast path on purpose."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, cast

from pushcast.http2.server_hpack import Shape, literal, status_field
from pushcast.simulators.apns import reasons, validation
from pushcast.simulators.apns.channels import Channels, Reply
from pushcast.simulators.apns.judge import Judge
from pushcast.simulators.apns.provider_tokens import ConnectionFacts
from pushcast.simulators.connection import Connection
from pushcast.simulators.provider import Provider, json_body
from pushcast.simulators.wheel import Answer

_JSON: Final = literal(b"content-type", b"application/json")


class Broadcasts:
    """Channels of one simulator, and what is published on them."""

    def __init__(self, random: Random, judge: Judge, next_id: Callable[[], bytes]) -> None:
        """`next_id` makes the `apns-request-id` of the next answer."""
        self.channels = Channels(random)
        self._judge = judge
        self._next_id = next_id

    def handle(
        self,
        provider: Provider,
        connection: Connection,
        stream_id: int,
        request: tuple[Shape, tuple[bytes, ...], bytes],
    ) -> None:
        shape, values, body = request
        headers = validation.Headers.of(shape.fill(values))
        parts = headers.path.decode(errors="replace").strip("/").split("/")
        publishes = parts[0] == "4"
        bundle = (parts[3:4] if publishes else parts[2:3] or [""])[0] if len(parts) > 3 else ""
        reply = self._reply(provider, connection, headers, parts, bundle, body)
        label = f"{reply.status} {reply.reason}" if reply.reason else str(reply.status)
        if publishes and reply.status == 200:
            provider.recorder.accept(b"channel:" + headers.channel_id, body)
            provider.recorder.apps[bundle] += 1
        else:
            provider.recorder.verdict(label)
        block = status_field(reply.status) + literal(b"apns-request-id", self._next_id())
        if reply.channel_id:
            block += literal(b"apns-channel-id", reply.channel_id.encode())
        answer = json_body({"reason": reply.reason}) if reply.reason else reply.body
        answered = Answer(block + (_JSON if answer else b""), answer)
        provider.send(connection, stream_id, answered, provider.delay_seconds())
        provider.recorder.log(connection.received_at, connection.number, stream_id, shape, values, body, label)

    def _reply(
        self,
        provider: Provider,
        connection: Connection,
        headers: validation.Headers,
        parts: list[str],
        bundle: str,
        body: bytes,
    ) -> Reply:
        refused = None
        if provider.checks:
            facts = cast("ConnectionFacts", connection.memo)
            refused = self._judge.refuse_token(connection, facts, headers.authorization)
            if refused is None and bundle not in facts.topics:
                refused = "TopicMismatch"
        if refused is None and parts[0] == "4":
            refused = self._refuse_publish(headers, bundle, body)
            if refused is None:
                return Reply(200)
        if refused is not None:
            return Reply(reasons.STATUS[refused], refused)
        if len(parts) != 4 or parts[3] not in {"channels", "all-channels"}:
            return Reply(404, "BadPath")
        channel_id = headers.channel_id.decode(errors="replace")
        return self.channels.manage(
            headers.method.decode(errors="replace"), bundle, parts[3] == "all-channels", channel_id, body
        )

    def _refuse_publish(self, headers: validation.Headers, bundle: str, body: bytes) -> str | None:
        channel_id = headers.channel_id.decode(errors="replace")
        refused = self.channels.refuse_id(bundle, channel_id)
        if refused is None and not headers.push_type:
            refused = "MissingPushType"
        if refused is None and headers.push_type != b"liveactivity":
            refused = "InvalidPushType"
        if refused is None and headers.priority not in {b"", b"1", b"5", b"10"}:
            refused = "BadPriority"
        if refused is None and headers.expiration not in {b"", b"0"} and not self.channels.stores(bundle, channel_id):
            refused = "BadExpirationDate"
        return refused or validation.refuse_payload(body, validation.BROADCAST_LIMIT_BYTES)
