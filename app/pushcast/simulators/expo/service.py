"""The Expo request handler: `/--/api/v2/push/send` and `/--/api/v2/push/getReceipts`."""

from __future__ import annotations

import uuid
from collections import deque
from functools import partial
from random import Random
from typing import Any, ClassVar, Final

from pushcast.http2.server import ServerSettings
from pushcast.http2.server_hpack import Shape, literal, status_field
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection
from pushcast.simulators.effects import Effect
from pushcast.simulators.expo import messages
from pushcast.simulators.expo.appearance import look_of
from pushcast.simulators.expo.messages import BadRequest, Push
from pushcast.simulators.expo.receipts import Receipts, error_entry
from pushcast.simulators.provider import Provider, json_body, retry_after_field
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.screens import Screens
from pushcast.simulators.values import Setting, attribute, flag, number, optional, whole
from pushcast.simulators.wheel import Answer

SETTINGS: Final = ServerSettings(max_concurrent_streams=100, max_body_bytes=2 * 1024 * 1024)
PER_SECOND: Final = 600
_SEND: Final = b"/--/api/v2/push/send"
_RECEIPTS: Final = b"/--/api/v2/push/getReceipts"
#: What a rule that matches this "token" does, happens to questions for receipts; one without a match, to both.
RECEIPTS_RULE: Final = b"getReceipts"
_JSON: Final = literal(b"content-type", b"application/json; charset=utf-8")


class ExpoProvider(Provider):
    """A simulated Expo push service behind one port."""

    platform: ClassVar[str] = "expo"

    def __init__(
        self,
        *,
        clock: SimulatorClock,
        random: Random,
        recorder: Recorder,
        checks: bool,
        access_tokens: dict[str, str],
    ) -> None:
        """`access_tokens` by project. A token named `other-project-…` or `<project>/…` belongs to that project."""
        self.access_tokens = access_tokens
        self.receipts = Receipts()
        self.screens = Screens(look_of)
        self._sent: dict[str, deque[tuple[float, int]]] = {}
        super().__init__(clock=clock, random=random, recorder=recorder, checks=checks, settings=SETTINGS)

    def _reset_state(self) -> None:
        super()._reset_state()
        self.per_second: int | None = PER_SECOND if self.checks else None
        self.receipt_delay_seconds = 0.0
        self.enforce_access_token = False
        self.deliver_twice = 0.0

    def _setters(self) -> dict[str, Setting]:
        return {
            **super()._setters(),
            "store": Setting(flag, self.screens.switch),
            "per_second": attribute(self, "per_second", optional(whole)),
            "receipt_delay_seconds": attribute(self, "receipt_delay_seconds", number),
            "enforce_access_token": attribute(self, "enforce_access_token", flag),
            "deliver_twice": attribute(self, "deliver_twice", partial(number, most=1.0)),
        }

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "store": self.screens.on,
            "per_second": self.per_second,
            "receipt_delay_seconds": self.receipt_delay_seconds,
            "enforce_access_token": self.enforce_access_token,
            "deliver_twice": self.deliver_twice,
        }

    def reset(self) -> None:
        super().reset()
        self.receipts.clear()
        self.screens.switch(False)
        self._sent.clear()

    def project_of(self, token: str) -> str:
        name = messages.name_of(token)
        if name.startswith("other-project-"):
            return "@other/project"
        project = name.partition("/")[0] if "/" in name else ""
        return project if project in self.access_tokens else next(iter(self.access_tokens))

    def handle(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        self.recorder.requests += 1
        headers = dict(shape.fill(values))
        path = headers.get(b":path", b"").partition(b"?")[0]
        delay = self.delay_seconds()
        try:
            if headers.get(b":method") != b"POST" or path not in {_SEND, _RECEIPTS}:
                raise BadRequest(404, "NOT_FOUND", "Not found.")
            plain = messages.inflate(body, headers.get(b"content-encoding", b""))
            if path == _RECEIPTS:
                label = self._tell_receipts(connection, stream_id, headers, plain, delay)
            else:
                label = self._send_all(connection, stream_id, headers, plain, delay)
        except BadRequest as refused:
            label = f"{refused.status} {refused.code}"
            extra = literal(b"retry-after", b"1") if refused.status == 429 else b""
            self._reply(connection, stream_id, refused.status, refused.body(), delay, extra)
        if not label.startswith("200"):
            self.recorder.verdict(label)
        self.recorder.log(connection.received_at, connection.number, stream_id, shape, values, body, label)
        if self.goaway_after:
            self.after_request(connection)

    def _send_all(
        self, connection: Connection, stream_id: int, headers: dict[bytes, bytes], body: bytes, delay: float
    ) -> str:
        pushes = messages.parse(body, checks=self.checks)
        effects = [self.rules.find(push.address, self.project_of(push.token)) for push in pushes]
        whole = next((effect for effect in effects if effect is not None and not _is_ticket(effect)), None)
        if whole is None and self.maintenance:
            whole = Effect("status", 503)
        if whole is not None and whole.kind == "latency":
            delay += whole.delay_seconds
        elif whole is not None and whole.kind == "fail":
            if self.rules.still_fails(pushes[0].address, whole.count):
                return self.perform(connection, stream_id, whole, delay, None)
        elif whole is not None and whole.kind != "ok":
            return self.perform(connection, stream_id, whole, delay, None)
        if self.checks:
            self._refuse_batch(headers, pushes)
        markers: list[float] = []
        tickets = [self._ticket(push, effect, markers) for push, effect in zip(pushes, effects, strict=True)]
        # One answer for many pushes: each accepted one with a marker is measured when it leaves.
        marker = markers[0] if markers else 0.0
        for other in markers[1:]:
            self.recorder.answered(other - delay * 1000)
        self._reply(connection, stream_id, 200, json_body({"data": tickets}), delay, marker=marker)
        return "200"

    def _tell_receipts(
        self, connection: Connection, stream_id: int, headers: dict[bytes, bytes], body: bytes, delay: float
    ) -> str:
        effect = self.rules.find(RECEIPTS_RULE, "") if self.rules.rules else None
        if effect is None and self.maintenance:
            effect = Effect("status", 503)
        if effect is not None and effect.kind == "latency":
            delay += effect.delay_seconds
        elif effect is not None and effect.kind == "fail":
            if self.rules.still_fails(RECEIPTS_RULE, effect.count):
                return self.perform(connection, stream_id, effect, delay, None)
        elif effect is not None and effect.kind != "ok" and not _is_ticket(effect):
            return self.perform(connection, stream_id, effect, delay, None)
        ids = messages.receipt_ids(body)
        if self.checks:
            self._refuse_reader(headers.get(b"authorization"))
        found = self.receipts.read(ids, self.clock.now(), self.receipt_delay_seconds)
        self.recorder.events["receipts_read"] += len(found)
        self._reply(connection, stream_id, 200, json_body({"data": found}), delay)
        return "200 receipts"

    def _refuse_reader(self, authorization: bytes | None) -> None:
        """Ticket ids do not name a project, so the access token of any will do."""
        if authorization is None and self.enforce_access_token:
            raise BadRequest(403, "UNAUTHORIZED", "Insufficient permissions to read receipts.")
        known = {b"Bearer " + each.encode() for each in self.access_tokens.values()}
        if authorization is not None and authorization not in known:
            raise BadRequest(401, "UNAUTHORIZED", "The bearer token is invalid.")

    def _refuse_batch(self, headers: dict[bytes, bytes], pushes: list[Push]) -> None:
        by_project: dict[str, list[str]] = {}
        for push in pushes:
            by_project.setdefault(self.project_of(push.token), []).append(push.token)
        if len(by_project) > 1:
            text = "All push notification messages in the same request must be for the same project."
            raise BadRequest(400, "PUSH_TOO_MANY_EXPERIENCE_IDS", text, by_project)
        for project in by_project:
            self._refuse_caller(project, headers.get(b"authorization"))
            self._refuse_rate(project, len(pushes))

    def _refuse_caller(self, project: str, authorization: bytes | None) -> None:
        expected = self.access_tokens.get(project)
        if authorization is not None and authorization != b"Bearer " + (expected or "").encode():
            raise BadRequest(401, "UNAUTHORIZED", "The bearer token is invalid.")
        if authorization is None and self.enforce_access_token:
            raise BadRequest(
                403, "UNAUTHORIZED", "Insufficient permissions to send push notifications to this project."
            )

    def _refuse_rate(self, project: str, count: int) -> None:
        if self.per_second is None:
            return
        now = self.clock.now()
        sent = self._sent.setdefault(project, deque())
        while sent and not 0 <= now - sent[0][0] < 1:
            sent.popleft()
        if sum(number for _, number in sent) + count > self.per_second:
            text = f"You have exceeded the {self.per_second} notifications per second limit."
            raise BadRequest(429, "TOO_MANY_REQUESTS", text)
        sent.append((now, count))

    def _ticket(self, push: Push, effect: Effect | None, markers: list[float]) -> dict[str, Any]:
        token = push.token
        error = effect.reason if effect is not None and _is_ticket(effect) else messages.ticket_error(token)
        if error is None and self.checks and len(push.content) > messages.MAX_BYTES:
            error = "MessageTooBig"
        if error is None and self.checks and not messages.is_token(token):
            error = "DeviceNotRegistered"
        if error is not None:
            self.recorder.verdict(f"ticket {error}")
            return error_entry(error, token)
        copies = 2 if self.deliver_twice and self.random.random() < self.deliver_twice else 1
        for _ in range(copies):
            marker = self.recorder.accept(push.address, push.content)
            self.screens.accept(push.address, push.content)
        self.recorder.apps[self.project_of(token)] += 1
        if marker:
            markers.append(marker)
        ticket_id = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        late = messages.receipt_error(token)
        if late is not None:
            self.recorder.verdict(f"receipt {late}")
        self.receipts.put(ticket_id, token, late, self.clock.now())
        return {"status": "ok", "id": ticket_id}

    def _reply(
        self,
        connection: Connection,
        stream_id: int,
        status: int,
        body: bytes,
        delay: float,
        extra: bytes = b"",
        *,
        marker: float = 0.0,
    ) -> None:
        self.send(connection, stream_id, Answer(status_field(status) + _JSON + extra, body), delay, marker)

    def error_answer(self, status: int, effect: Effect, context: Any) -> tuple[Answer, str]:
        code = effect.reason or ("TOO_MANY_REQUESTS" if status == 429 else "API_ERROR")
        refused = BadRequest(status, code, "Scripted.")
        return Answer(status_field(status) + _JSON + retry_after_field(effect), refused.body()), f"{status} {code}"


def _is_ticket(effect: Effect) -> bool:
    """`reason:DeviceNotRegistered` without a status is about one recipient, everything else about the request."""
    return effect.kind == "status" and effect.status == 0
