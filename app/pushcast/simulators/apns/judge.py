"""Whether APNs takes a request, and from whom: the first reason not to, in the order in which APNs looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from pushcast.simulators.apns import validation
from pushcast.simulators.apns.prepared import Prepared
from pushcast.simulators.apns.provider_tokens import MAX_AGE_SECONDS, ConnectionFacts, ProviderTokens
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.connection import Connection

#: Device tokens whose kind is remembered: memory of a simulator stays bounded, later ones are taken for every topic.
_MOST_TOKENS: Final = 200_000


class Judge:
    """`raise_streams` opens a connection to many streams: at its first good provider token."""

    def __init__(
        self,
        tokens: ProviderTokens,
        clock: SimulatorClock,
        raise_streams: Callable[[Connection, ConnectionFacts], None],
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._raise_streams = raise_streams
        self.reset()

    def reset(self) -> None:
        """Forgets which token was made for what, and the last payload: one that comes again is not read again."""
        self._made_for: dict[bytes, bytes] = {}  # device token -> suffix of the topic that took it first
        self._checked: tuple[bytes, int, str | None] = (b"", 0, "PayloadEmpty")

    def refuse(
        self, connection: Connection, prepared: Prepared, message_id: bytes, path: bytes, body: bytes
    ) -> str | None:
        """The first reason, in pushy's order: message id, method, topic, other headers, path, token, payload."""
        if prepared.id_hole >= 0:
            refused = validation.refuse_message_id(message_id)
        else:
            refused = prepared.message_refusal
        if refused is not None or prepared.request_refusal is not None:
            return refused or prepared.request_refusal
        facts = cast("ConnectionFacts", connection.memo)
        if not prepared.topic and len(facts.certificate_topics) != 1:
            return "MissingTopic"
        if prepared.refusal is not None:
            return prepared.refusal
        refused = validation.refuse_path(path) if prepared.path_hole >= 0 else prepared.path_refusal
        if refused is not None:
            return refused
        refused = self._refuse_sender(connection, facts, prepared)
        if refused is not None:
            return refused
        refused = self._refuse_kind(path, prepared)
        if refused is not None:
            return refused
        checked_body, limit, checked = self._checked
        if limit == prepared.limit_bytes and checked_body == body:
            return checked
        refused = validation.refuse_payload(body, prepared.limit_bytes)
        self._checked = (body, prepared.limit_bytes, refused)
        return refused

    def _refuse_kind(self, path: bytes, prepared: Prepared) -> str | None:
        """An alert token is none of a call's, nor the other way round; Apple knows, here the first topic tells."""
        suffix = prepared.suffix
        made_for = self._made_for.get(path)
        if made_for is None:
            if len(self._made_for) < _MOST_TOKENS:
                self._made_for[path] = suffix
            return None
        return None if made_for == suffix else "DeviceTokenNotForTopic"

    def _refuse_sender(self, connection: Connection, facts: ConnectionFacts, prepared: Prepared) -> str | None:
        if facts.certificate_topics:
            return None if not prepared.topic or prepared.bundle in facts.certificate_topics else "TopicDisallowed"
        refused = self.refuse_token(connection, facts, prepared.headers.authorization)
        if refused is not None:
            return refused
        return None if prepared.bundle in facts.topics else "TopicDisallowed"

    def refuse_token(self, connection: Connection, facts: ConnectionFacts, authorization: bytes | None) -> str | None:
        """Judges the provider token, and opens the connection to many streams at the first good one."""
        now = self._clock.now()
        if (
            authorization is None
            or authorization != facts.current
            or facts.expired
            or self._tokens.revoked
            or not 0 <= now - facts.current_issued_at <= MAX_AGE_SECONDS
        ):
            refused = self._tokens.authorize(facts, authorization, now)
            if refused is not None:
                return refused
        if not facts.raised:
            self._raise_streams(connection, facts)
        return None
