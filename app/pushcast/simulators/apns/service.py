"""The APNs request handler: explicit rule, then token prefix, then validation, then acceptance."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Final, cast

from pushcast.http2 import frames as f
from pushcast.http2.server import ServerSettings
from pushcast.http2.server_hpack import Shape, literal, status_field
from pushcast.simulators.apns import reasons
from pushcast.simulators.apns.broadcasts import Broadcasts
from pushcast.simulators.apns.judge import Judge
from pushcast.simulators.apns.prefixes import effect_of
from pushcast.simulators.apns.prepared import Prepared, prepare
from pushcast.simulators.apns.provider_tokens import ConnectionFacts, ProviderTokens, SigningKey
from pushcast.simulators.apns.store import DeviceStore
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection
from pushcast.simulators.effects import Effect
from pushcast.simulators.provider import Provider, json_body, retry_after_field
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.values import Setting, attribute, flag, one_of, optional, texts, whole
from pushcast.simulators.wheel import Answer

# Third-party observation of production: 1 stream until a token was accepted, then typically 1000.
STREAMS: Final = 1_000
SETTINGS: Final = ServerSettings(max_concurrent_streams=1)
_JSON: Final = literal(b"content-type", b"application/json")
_ID_FIELD: Final = b"\x00\x07apns-id\x24"
_ACCEPTED: Final = b"\x88" + _ID_FIELD
# HEADERS, END_STREAM and END_HEADERS, for `:status 200` plus a 36-byte apns-id.
_ACCEPTED_PREFIX: Final = f.frame_prefix(len(_ACCEPTED) + 36, f.HEADERS, f.FLAG_END_STREAM | f.FLAG_END_HEADERS)
_PACK_U32: Final = f.PACK_U32


class ApnsProvider(Provider):
    """A simulated Apple behind one port."""

    platform: ClassVar[str] = "apns"

    def __init__(
        self,
        *,
        clock: SimulatorClock,
        random: Random,
        recorder: Recorder,
        checks: bool,
        keys: list[SigningKey],
        environment: str,
        certificates: bool = False,
    ) -> None:
        self.tokens = ProviderTokens(keys, environment=environment)
        self.environment = environment
        self.certificates = certificates
        self.judge = Judge(self.tokens, clock, self._raise_streams)
        self.broadcasts = Broadcasts(random, self.judge, self.next_id)
        self._id_head = f"{random.getrandbits(32):08x}-0000-4000-8000-"
        self._ids = 0
        settings = SETTINGS if checks else ServerSettings(max_concurrent_streams=STREAMS)
        super().__init__(clock=clock, random=random, recorder=recorder, checks=checks, settings=settings)
        self.streams = STREAMS

    def _reset_state(self) -> None:
        super()._reset_state()
        self.streams = STREAMS
        self.bad_device_token_limit: int | None = None
        self.store: DeviceStore | None = None
        self.judge.reset()

    def reset(self) -> None:
        super().reset()
        self.tokens.reset()
        self.broadcasts.channels.clear()

    def opened(self, connection: Connection) -> None:
        super().opened(connection)
        facts = ConnectionFacts()
        connection.memo = facts
        if self.certificates and connection.transport is not None:
            subject = (connection.transport.get_extra_info("peercert") or {}).get("subject", ())
            names = {value for group in subject for name, value in group if name in {"userId", "UID"}}
            if names:
                facts.certificate_topics = frozenset(names)
                self._raise_streams(connection, facts)

    def _raise_streams(self, connection: Connection, facts: ConnectionFacts) -> None:
        facts.raised = True
        connection.send_settings({f.SETTINGS_MAX_CONCURRENT_STREAMS: self.streams})

    def _set_streams(self, value: int) -> None:
        self.streams = value
        for connection in self.connections.values():
            if cast("ConnectionFacts", connection.memo).raised or not self.checks:
                connection.send_settings({f.SETTINGS_MAX_CONCURRENT_STREAMS: self.streams})
                connection.flush()

    def _setters(self) -> dict[str, Setting]:
        return {
            **super()._setters(),
            "bad_device_token_limit": attribute(self, "bad_device_token_limit", optional(whole)),
            "revoked_keys": Setting(texts, self.tokens.revoke),
            "store": Setting(flag, self._set_store),
            "token_update_scope": attribute(self.tokens, "update_scope", one_of(("connection", "team"))),
        }

    def _set_store(self, value: bool) -> None:
        self.store = (self.store or DeviceStore()) if value else None

    def set_device(self, token: str, *, online: bool) -> None:
        """Switches the store on, too. An offline device keeps one notification per app until it is online."""
        self._set_store(True)
        assert self.store is not None
        self.store.set_online(token.encode(), online, self.clock.now())

    def screen(self, token: str) -> dict[str, Any]:
        """What the user of a device sees. Raises ValueError while the store is off."""
        if self.store is None:
            raise ValueError('screen: switch the store on first (PUT /state {"store": true})')
        return self.store.screen(token.encode())

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "bad_device_token_limit": self.bad_device_token_limit,
            "revoked_keys": self.tokens.revoked,
            "store": self.store is not None,
            "token_update_scope": self.tokens.update_scope,
        }

    def stats(self) -> dict[str, Any]:
        return {**super().stats(), "provider_tokens_seen": self.tokens.seen_total}

    def goaway_debug(self, reason: str) -> bytes:
        return json_body({"reason": reason})

    def handle(
        self, connection: Connection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        recorder = self.recorder
        recorder.requests += 1
        prepared: Prepared | None = shape.memo
        if prepared is None:
            prepared = prepare(shape, values)
        if prepared.path_hole >= 0:
            path = values[prepared.path_hole]
            token = path[10:] if path.startswith(b"/3/device/") else path
        else:
            path = prepared.headers.path
            token = prepared.token
        message_id = values[prepared.id_hole] if prepared.id_hole >= 0 else prepared.headers.message_id
        delay = self.delay_seconds()
        if path.startswith((b"/1/apps/", b"/4/broadcasts/apps/")):
            self.broadcasts.handle(self, connection, stream_id, (shape, values, body))
            return
        effect = self.rules.find(token, prepared.bundle) if self.rules.rules else None
        if effect is None:
            effect = effect_of(token)
        if self.maintenance and effect is None:
            effect = _MAINTENANCE
        label = "200"
        forced = False
        if effect is not None:
            effect, delay, forced = self.softened(effect, token, delay)
        reason = None
        if effect is None and not forced and self.checks:
            reason = self.judge.refuse(connection, prepared, message_id, path, body)
            if reason is not None:
                effect = Effect("status", reason=reason)
        if effect is not None:
            label = self.perform(connection, stream_id, effect, delay, message_id)
            recorder.verdict(label)
            recorder.refuse(token, body)
            if self.bad_device_token_limit is not None and label == "400 BadDeviceToken":
                self._count_bad_token(connection)
        else:
            marker = recorder.accept(token, body)
            recorder.apps[prepared.bundle] += 1
            if self.store is not None:
                head = prepared.headers
                self.store.accept(token, prepared.bundle, head.collapse_id, head.expiration, body, self.clock.now())
            if len(message_id) != 36:
                message_id = self.next_id()
            if delay > 0 or self.environment == "sandbox" or connection.style != "plain":
                self.send(connection, stream_id, Answer(self._accepted_block(message_id)), delay, marker)
            else:
                connection.out.append(b"%b%b%b%b" % (_ACCEPTED_PREFIX, _PACK_U32(stream_id), _ACCEPTED, message_id))
                connection.answered += 1
                if marker:
                    recorder.answered(marker)
        recorder.log(connection.received_at, connection.number, stream_id, shape, values, body, label)
        if self.goaway_after:
            self.after_request(connection)

    def next_id(self) -> bytes:
        """An `apns-id` as APNs makes one up: unique in this simulator's run."""
        self._ids += 1
        return b"%b%012x" % (self._id_head.encode(), self._ids)

    def _accepted_block(self, message_id: bytes) -> bytes:
        if self.environment != "sandbox":
            return _ACCEPTED + message_id
        unique = f"{self.random.getrandbits(128):032x}"
        unique = f"{unique[:8]}-{unique[8:12]}-{unique[12:16]}-{unique[16:20]}-{unique[20:]}"
        return _ACCEPTED + message_id + literal(b"apns-unique-id", unique.encode())

    def _count_bad_token(self, connection: Connection) -> None:
        facts = cast("ConnectionFacts", connection.memo)
        facts.bad_device_tokens += 1
        limit = self.bad_device_token_limit
        if limit is not None and facts.bad_device_tokens >= limit and not connection.going_away:
            self.send_goaway(connection, "graceful", "TooManyBadDeviceTokens", code=f.ENHANCE_YOUR_CALM)

    def error_answer(self, status: int, effect: Effect, context: Any) -> tuple[Answer, str]:
        reason = effect.reason or reasons.DEFAULT_REASON.get(status, "InternalServerError")
        status = status or reasons.STATUS.get(reason, 400)
        value: dict[str, Any] = {"reason": reason}
        if status == 410:
            value["timestamp"] = self.clock.now_ms() if effect.timestamp_ms is None else effect.timestamp_ms
        message_id: bytes = context
        if len(message_id) != 36:
            message_id = self.next_id()
        block = status_field(status) + _ID_FIELD + message_id + _JSON + retry_after_field(effect)
        return Answer(block, json_body(value)), f"{status} {reason}"


_MAINTENANCE: Final = Effect("status", 503, "ServiceUnavailable")


def parse_environment(value: str) -> str:
    """Raises ValueError for anything but production or sandbox."""
    if value not in {"production", "sandbox"}:
        raise ValueError(f"environment {value!r} is not production or sandbox")
    return value
