"""The FCM request handler: explicit rule, Google's front end (path, credential, project), token prefix, message."""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import Any, ClassVar, Final

from pushcast.http2.server import ServerSettings
from pushcast.http2.server_hpack import Shape, literal, status_field
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection
from pushcast.simulators.effects import Effect
from pushcast.simulators.fcm import errors, messages
from pushcast.simulators.fcm.appearance import look_of
from pushcast.simulators.fcm.lives import Life, Lives
from pushcast.simulators.fcm.oauth import TokenEndpoint
from pushcast.simulators.fcm.prefixes import effect_of
from pushcast.simulators.fcm.quota import Quota, QuotaKeeper
from pushcast.simulators.fcm.subscriptions import Subscriptions
from pushcast.simulators.fcm.target import Subscription, Target, target_of
from pushcast.simulators.provider import Provider, json_body, retry_after_field
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.screens import Screens
from pushcast.simulators.values import Setting, attribute, flag, number, one_of, optional, texts, whole
from pushcast.simulators.wheel import Answer

# Observed by Bloomberg's Pushiko.
SETTINGS: Final = ServerSettings(max_concurrent_streams=100, max_header_list_bytes=65_536)
_JSON: Final = literal(b"content-type", b"application/json; charset=UTF-8")
_ACCEPTED: Final = status_field(200) + _JSON
_TOKEN_ENDPOINT: Final = ("ok", "unavailable", "invalid_grant", "invalid_scope", "unauthorized_client")
_TIME_LEFT = re.compile(rb'"(?:ttl|TTL)"\s*:\s*"[^"]*"')


class FcmProvider(Provider):
    """A simulated FCM, v1 API, behind one port."""

    platform: ClassVar[str] = "fcm"

    def __init__(
        self,
        *,
        clock: SimulatorClock,
        random: Random,
        recorder: Recorder,
        checks: bool,
        oauth: TokenEndpoint,
        projects: frozenset[str],
    ) -> None:
        self.oauth = oauth
        self.projects = projects
        self.quota = QuotaKeeper()
        self.subscriptions = Subscriptions()
        self.screens = Screens(look_of)
        self._ids = random.getrandbits(48)
        self.lives = Lives(self)
        super().__init__(clock=clock, random=random, recorder=recorder, checks=checks, settings=SETTINGS)

    def _reset_state(self) -> None:
        super()._reset_state()
        self.lives.reset(self.checks)
        self.trailing_data = True
        self.quota.limits = Quota() if self.checks else Quota.parse(None)

    def reset(self) -> None:
        super().reset()
        self.quota.clear()
        self.subscriptions.clear()
        self.screens.switch(False)
        self.oauth.reset()

    def _setters(self) -> dict[str, Setting]:
        return {
            **super()._setters(),
            "store": Setting(flag, self.screens.switch),
            "quota": attribute(self.quota, "limits", lambda _, value: Quota.parse(value)),
            "idle_seconds": attribute(self.lives, "idle_seconds", optional(number)),
            "max_age_seconds": attribute(self.lives, "max_age_seconds", optional(number)),
            "max_pings": attribute(self.lives, "max_pings", optional(whole)),
            "ping_seconds": attribute(self.lives, "ping_seconds", optional(number)),
            "trailing_data": attribute(self, "trailing_data", flag),
            "access_token_seconds": attribute(self.oauth, "lifetime_seconds", number),
            "token_endpoint": Setting(one_of(_TOKEN_ENDPOINT), self._set_token_endpoint),
            "revoked_projects": attribute(self.oauth, "revoked_projects", lambda *given: set(texts(*given))),
            "revoke_access_tokens": Setting(flag, lambda value: self.oauth.revoke_all() if value else None),
        }

    def _set_token_endpoint(self, value: str) -> None:
        self.oauth.failure = None if value == "ok" else value

    def state(self) -> dict[str, Any]:
        limits = self.quota.limits
        return {
            **super().state(),
            "store": self.screens.on,
            "quota": {name: getattr(limits, name) for name in limits.__slots__},
            "idle_seconds": self.lives.idle_seconds,
            "max_age_seconds": self.lives.max_age_seconds,
            "max_pings": self.lives.max_pings,
            "ping_seconds": self.lives.ping_seconds,
            "trailing_data": self.trailing_data,
            "access_token_seconds": self.oauth.lifetime_seconds,
            "token_endpoint": self.oauth.failure or "ok",
            "revoked_projects": sorted(self.oauth.revoked_projects),
        }

    def stats(self) -> dict[str, Any]:
        return {
            **super().stats(),
            "access_tokens_issued": self.oauth.issued,
            "topics_followed": self.subscriptions.state(),
        }

    def opened(self, connection: Connection) -> None:
        super().opened(connection)
        self.lives.opened(connection)

    def stop(self) -> None:
        super().stop()
        self.lives.stop()

    def pinged(self, connection: Connection) -> None:
        super().pinged(connection)
        self.lives.pinged(connection)

    def handle(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        target: Target | None = shape.memo
        if target is None:
            target = target_of(dict(shape.fill(values)))
            if not shape.holes:
                shape.memo = target
        if target.kind == "token":
            self._token_request(connection, stream_id, target, body)
            return
        life = connection.memo
        if isinstance(life, Life):
            life.used_at = asyncio.get_running_loop().time()
            life.pings = 0
        if target.subscription is not None:
            self._change_topics(connection, stream_id, target, target.subscription)
            return
        self.recorder.requests += 1
        label = self._send_message(connection, stream_id, target, body)
        self.recorder.log(connection.received_at, connection.number, stream_id, shape, values, body, label)
        if self.goaway_after:
            self.after_request(connection)

    def _send_message(self, connection: Connection, stream_id: int, target: Target, body: bytes) -> str:
        recorder = self.recorder
        delay = self.delay_seconds()
        fault = self._refuse_caller(target) if self.checks else None
        parsed = messages.parse(body) if self.checks else messages.Parsed(messages.address_of(body))
        address = parsed.address
        effect = self.rules.find(address, target.project) if self.rules.rules else None
        if effect is None and fault is None:
            effect = effect_of(address)
        if effect is None and self.maintenance:
            effect = _MAINTENANCE
        effect, delay, forced = self.softened(effect, address, delay)
        if effect is not None:
            label = self.perform(connection, stream_id, effect, delay, None)
            if label.startswith("4") and not label.startswith("429"):
                self.quota.refuses_project(target.project, self.clock.now())  # it counts all the same
            recorder.verdict(label)
            recorder.refuse(address, _TIME_LEFT.sub(b"", body))
            return label
        retry_after = None
        if self.checks and not forced and fault is None:
            fault = self._refuse_rate(target.project, parsed)
            if fault is not None:
                retry_after = self.quota.limits.retry_after
            else:
                fault = parsed.fault
        if fault is not None:
            self.send(connection, stream_id, self._fault_answer(fault, retry_after), delay)
            recorder.verdict(fault.label)
            return fault.label
        return self._accept(connection, stream_id, target.project, parsed, body, delay)

    def _refuse_rate(self, project: str, parsed: messages.Parsed) -> errors.FcmFault | None:
        now = self.clock.now()
        subject = None
        if self.quota.refuses_project(project, now):
            subject = "project"
        elif parsed.fault is None and self.quota.refuses_device(parsed.address, parsed.collapsible, now):
            subject = "device"
        return None if subject is None else errors.quota_fault(subject, f"Send requests per minute and {subject}")

    def _accept(
        self,
        connection: Connection,
        stream_id: int,
        project: str,
        parsed: messages.Parsed,
        body: bytes,
        delay: float,
    ) -> str:
        if parsed.validate_only:
            name, marker, label = "fake_message_id", 0.0, "200 validate_only"
            self.recorder.verdict(label)
        else:
            # What a retry sends again differs only in the time that is left.
            marker, label = self.recorder.accept(parsed.address, _TIME_LEFT.sub(b"", body)), "200"
            self.recorder.apps[project] += 1
            self.screens.accept(parsed.address, body)
            self._ids += 1
            name = f"0:{self.clock.now_ms() * 1000}%{self._ids:016x}"
        answer = b'{\n  "name": "projects/%b/messages/%b"\n}\n' % (project.encode(), name.encode())
        if delay > 0:
            self.wheel.add(delay, connection, stream_id, Answer(_ACCEPTED, answer, trail=self.trailing_data), marker)
        else:
            connection.answer(stream_id, _ACCEPTED, answer, trail=self.trailing_data)
            if marker:
                self.recorder.answered(marker)
        return label

    def _refuse_caller(self, target: Target) -> errors.FcmFault | None:
        if target.fault is not None:
            return target.fault
        project = self.oauth.project_of(target.authorization)
        if project is None:
            return errors.UNAUTHENTICATED
        if target.project not in self.projects:
            return errors.NOT_FOUND
        return errors.PERMISSION_DENIED if project != target.project else None

    def _change_topics(self, connection: Connection, stream_id: int, target: Target, asked: Subscription) -> None:
        """No push: it is in no count of these."""
        self.recorder.events["topic_changes"] += 1
        registration = asked.registration.encode()
        effect = self.rules.find(registration, target.project) if self.rules.rules else None
        effect = effect or effect_of(registration) or (_MAINTENANCE if self.maintenance else None)
        if effect is not None:
            self.perform(connection, stream_id, effect, self.delay_seconds(), None)
            return
        fault = self._refuse_caller(target) if self.checks else target.fault
        fault = fault or self.subscriptions.change(target.project, asked)
        if fault is not None:
            self.send(connection, stream_id, self._fault_answer(fault, None), self.delay_seconds())
            return
        body = {"topic_name": asked.topic} if asked.adds else {}
        self.send(connection, stream_id, Answer(_ACCEPTED, json_body(body)), self.delay_seconds())

    def _token_request(self, connection: Connection, stream_id: int, target: Target, body: bytes) -> None:
        self.recorder.events["token_requests"] += 1
        if target.fault is not None:
            self.send(connection, stream_id, self._fault_answer(target.fault, None), 0.0)
            return
        status, value = self.oauth.exchange(body)
        self.send(connection, stream_id, Answer(status_field(status) + _JSON, json_body(value)), 0.0)

    def _fault_answer(self, fault: errors.FcmFault, retry_after: str | None) -> Answer:
        block = status_field(fault.http) + _JSON
        if retry_after is not None:
            block += literal(b"retry-after", retry_after.encode())
        answer = Answer(block, fault.body())
        if self.split_errors:
            answer.cut = len(answer.body) // 2
        return answer

    def error_answer(self, status: int, effect: Effect, context: Any) -> tuple[Answer, str]:
        fault = errors.scripted(status, effect.reason)
        return Answer(status_field(fault.http) + _JSON + retry_after_field(effect), fault.body()), fault.label


_MAINTENANCE: Final = Effect("status", 503, "UNAVAILABLE")
