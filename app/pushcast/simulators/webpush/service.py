"""The Web Push request handler.

Endpoints are `/wp/<verdict>/<personality>.<key>.<number>`: verdict `ok` or a status, the service whose manners apply,
the hash of the VAPID key the subscription is bound to (or `any`). They need no storage, so there may be millions.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, ClassVar, Final

from pushcast.http2.server import ServerSettings
from pushcast.http2.server_hpack import Shape, literal, status_field
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection
from pushcast.simulators.effects import Effect
from pushcast.simulators.provider import Provider, retry_after_field
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.screens import Screens
from pushcast.simulators.values import Setting, attribute, flag
from pushcast.simulators.webpush.appearance import look_of
from pushcast.simulators.webpush.mailbox import Mailbox, Message
from pushcast.simulators.webpush.personalities import PERSONALITIES, Refusal, by_status, refusal
from pushcast.simulators.webpush.request_faults import RequestFaults, key_hash
from pushcast.simulators.webpush.subscriptions import BrowserKeys, Subscription, Undecryptable, base64url
from pushcast.simulators.wheel import Answer

SETTINGS: Final = ServerSettings(max_concurrent_streams=100)
_PATH: Final = re.compile(rb"/wp/(ok|[2-5]\d\d)/(([a-z]+)\.([0-9a-f]{16}|any)\.[\w-]{1,64})")
_MESSAGE: Final = re.compile(rb"/m/(\d{1,20})")
_MAX_TTL_DIGITS: Final = 12
_HUGE: Final = b"x" * (1 << 20)


class WebPushProvider(Provider):
    """A simulated push service of browsers behind one port."""

    platform: ClassVar[str] = "webpush"

    def __init__(self, *, clock: SimulatorClock, random: Random, recorder: Recorder, checks: bool, seed: int) -> None:
        self.keys = BrowserKeys(seed)
        self.mailbox = Mailbox()
        self.screens = Screens(look_of)
        self.origin = ""
        self._faults = RequestFaults(clock.now)
        self._made = 0
        super().__init__(clock=clock, random=random, recorder=recorder, checks=checks, settings=SETTINGS)

    def _reset_state(self) -> None:
        super()._reset_state()
        self.decrypts = self.checks

    def _setters(self) -> dict[str, Setting]:
        return {
            **super()._setters(),
            "decrypt": attribute(self, "decrypts", flag),
            "store": Setting(flag, self.screens.switch),
        }

    def state(self) -> dict[str, Any]:
        return {**super().state(), "decrypt": self.decrypts, "store": self.screens.on}

    def reset(self) -> None:
        super().reset()
        self.mailbox.clear()
        self.screens.switch(False)

    def subscribe(
        self, vapid_public_key: bytes | None = None, *, personality: str = "mozilla", verdict: str = "ok"
    ) -> Subscription:
        """A new subscription, bound to a VAPID key (65 bytes) when one is given. Raises ValueError."""
        if personality not in PERSONALITIES:
            raise ValueError(f"personality: {personality!r} is not one of {', '.join(PERSONALITIES)}")
        bound = "any" if vapid_public_key is None else key_hash(vapid_public_key)
        self._made += 1
        subscription_id = f"{personality}.{bound}.{self._made}"
        _, public, secret = self.keys.of(subscription_id.encode())
        endpoint = f"{self.origin}/wp/{verdict}/{subscription_id}"
        if not _PATH.fullmatch(endpoint.removeprefix(self.origin).encode()):
            raise ValueError(f"verdict: {verdict!r} is not ok or a status")
        return Subscription(endpoint, base64url(public), base64url(secret))

    def messages(self, endpoint: str) -> list[dict[str, Any]]:
        """What the browser behind an endpoint has received and not yet read."""
        return self.mailbox.of(endpoint.rpartition("/")[2].encode(), self.clock.now())

    def handle(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        self.recorder.requests += 1
        headers = dict(shape.fill(values))
        path = headers.get(b":path", b"")
        delay = self.delay_seconds()
        found = _PATH.fullmatch(path)
        if headers.get(b":method") == b"DELETE":
            label = self._delete(connection, stream_id, headers, _MESSAGE.fullmatch(path), delay)
        elif found is None:
            label = self._probe(connection, stream_id, path)
        elif headers.get(b":method") != b"POST":  # RFC 8030 §5: a push is a POST
            label = "405"
            self.send(connection, stream_id, Answer(status_field(405) + literal(b"allow", b"POST")), delay)
            self.recorder.verdict(label)
        else:
            label = self._push(connection, stream_id, headers, found, body, delay)
        self.recorder.log(connection.received_at, connection.number, stream_id, shape, values, body, label)
        if self.goaway_after:
            self.after_request(connection)

    def _push(
        self,
        connection: Connection,
        stream_id: int,
        headers: dict[bytes, bytes],
        found: re.Match[bytes],
        body: bytes,
        delay: float,
    ) -> str:
        verdict, subscription_id, personality, bound = found[1], found[2], found[3].decode(), found[4]
        effect = self.rules.find(subscription_id, personality) if self.rules.rules else None
        if effect is None and verdict != b"ok":
            effect = Effect("status", int(verdict), retry_after="60" if verdict in {b"429", b"406"} else None)
        if effect is None and self.maintenance:
            effect = Effect("status", 503)
        if effect is not None and effect.kind == "latency":
            delay += effect.delay_seconds
            effect = None
        if effect is not None and effect.kind == "fail" and not self.rules.still_fails(subscription_id, effect.count):
            effect = None
        if effect is not None and effect.kind != "ok":
            label = self.perform(connection, stream_id, effect, delay, personality)
            self.recorder.verdict(label)
            self.recorder.refuse(subscription_id, self._open(subscription_id, headers, body))
            return label
        refused = self._refuse(headers, personality, bound, body) if self.checks and effect is None else None
        if refused is not None:
            self.send(connection, stream_id, _answer(refused), delay)
            self.recorder.verdict(refused.label)
            return refused.label
        plain = self._open(subscription_id, headers, body, f"{self.recorder.accepted + 1}")
        marker = self.recorder.accept(subscription_id, plain)
        self.screens.accept(subscription_id, plain)
        self.recorder.apps[personality] += 1
        location = f"{self.origin}/m/{self.recorder.accepted}".encode()
        block = status_field(201) + literal(b"location", location) + literal(b"ttl", headers.get(b"ttl", b"0"))
        self.send(connection, stream_id, Answer(block), delay, marker)
        return "200"

    def _delete(
        self,
        connection: Connection,
        stream_id: int,
        headers: dict[bytes, bytes],
        found: re.Match[bytes] | None,
        delay: float,
    ) -> str:
        """Mozilla's `DELETE /m/<id>`: 204, or 404 for what is not there any more."""
        status = 404
        if self.checks and self._faults.of_vapid(self.origin, headers.get(b"authorization"), b"any"):
            status = 401
        elif found is not None and self.mailbox.delete(found[1].decode()):
            status = 204
        self.send(connection, stream_id, Answer(status_field(status)), delay)
        self.recorder.verdict(f"delete {status}")
        return "delete"

    def _open(self, subscription_id: bytes, headers: dict[bytes, bytes], body: bytes, name: str = "") -> bytes:
        """The plaintext where we decrypt and can, else the body. No service tells the sender that it cannot.

        `name`: ours of the message.
        """
        if not self.decrypts or not body:
            return body
        try:
            plain = self.keys.decrypt(subscription_id, body)
        except Undecryptable as error:
            self.recorder.violations[f"undecryptable: {error}"] += 1
            return body
        ttl = headers.get(b"ttl", b"")
        message = Message(
            headers.get(b"topic", b"").decode(errors="replace"),
            headers.get(b"urgency", b"").decode(errors="replace"),
            int(ttl[:_MAX_TTL_DIGITS]) if ttl.isdigit() else 0,
            plain,
            self.clock.now(),
            name,
        )
        self.mailbox.put(subscription_id, message)
        return plain

    def _refuse(self, headers: dict[bytes, bytes], personality: str, bound: bytes, body: bytes) -> Refusal | None:
        for fault in self._faults.of(self.origin, headers, bound, body):
            refused = refusal(personality, fault)
            if refused is not None:
                return refused
        return None

    def _probe(self, connection: Connection, stream_id: int, path: bytes) -> str:
        """For tests of a sender's caution: a redirect, a body without end, an answer that does not come."""
        if path == b"/probe/redirect":
            self.send(
                connection, stream_id, Answer(status_field(307) + literal(b"location", b"http://127.0.0.1/")), 0.0
            )
        elif path == b"/probe/huge":
            self.send(connection, stream_id, Answer(status_field(400), _HUGE), 0.0)
        elif path == b"/probe/slow":
            connection.hold(stream_id)
        else:
            self.send(connection, stream_id, Answer(status_field(404)), 0.0)
        self.recorder.verdict(f"probe {path.decode(errors='replace')[:40]}")
        return "probe"

    def error_answer(self, status: int, effect: Effect, context: Any) -> tuple[Answer, str]:
        refused = refusal(context, by_status(status), retry_after=effect.retry_after)
        if refused is None or (refused.status != status and by_status(status) == "internal"):
            return Answer(status_field(status) + retry_after_field(effect)), str(status)
        return _answer(refused), refused.label


def _answer(refused: Refusal) -> Answer:
    block = status_field(refused.status) + literal(b"content-type", refused.content_type)
    if refused.retry_after is not None:
        block += literal(b"retry-after", refused.retry_after.encode())
    return Answer(block, refused.body)
