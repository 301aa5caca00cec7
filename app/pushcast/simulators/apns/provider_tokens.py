"""Provider tokens as APNs judges them: signature, claims, age, and what one connection may change."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

# Apple, "Establishing a token-based connection to APNs": refresh between 20 and 60 minutes.
MAX_AGE_SECONDS: Final = 3600.0
MIN_UPDATE_SECONDS: Final = 1200.0
# Assumption; Apple states no tolerance for clocks that run ahead.
MAX_SKEW_SECONDS: Final = 60.0
_CACHED_TOKENS: Final = 1_024


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key as Apple's account page holds it; `topics` are bundle ids, `environment` is production, sandbox or both."""

    key_id: str
    team_id: str
    public_key: EllipticCurvePublicKey
    topics: frozenset[str]
    environment: str = "both"


@dataclass(frozen=True, slots=True)
class ProviderToken:
    """A token that was verified; `issued_at` in seconds of Unix time."""

    key: SigningKey
    issued_at: float


class Updates:
    """The tokens that a connection or a team has used: a new one is an update, and one per 20 minutes is allowed."""

    def __init__(self) -> None:
        self._known: deque[bytes] = deque(maxlen=4)
        self._last_at: float | None = None

    def allow(self, authorization: bytes, now: float) -> bool:
        """True for a known token, for the first one, and for a new one when the last is 20 minutes old."""
        if authorization in self._known:
            return True
        if self._last_at is not None and now - self._last_at < MIN_UPDATE_SECONDS:
            return False
        self._known.append(authorization)
        self._last_at = now
        return True


@dataclass(slots=True)
class ConnectionFacts:
    """What a connection is bound to since its first authenticated push."""

    team_id: str | None = None
    key_id: str | None = None
    current: bytes | None = None
    current_issued_at: float = 0.0
    topics: frozenset[str] = frozenset()
    expired: bool = False
    bad_device_tokens: int = 0
    raised: bool = False
    certificate_topics: frozenset[str] = frozenset()
    updates: Updates = field(default_factory=Updates)


class ProviderTokens:
    """Verifies `authorization` values; signatures are checked once per distinct token (1,024 remembered)."""

    def __init__(self, keys: list[SigningKey], *, environment: str) -> None:
        self._keys = {key.key_id: key for key in keys}
        self._revoked: set[str] = set()
        self._environment = environment
        self._cache: OrderedDict[bytes, ProviderToken | str] = OrderedDict()
        self._team_updates: dict[str, Updates] = {}
        self.update_scope = "connection"
        self.seen_total = 0

    def revoke(self, key_ids: list[str]) -> None:
        """From now on tokens of these keys, and of no others, are invalid."""
        self._revoked = set(key_ids)

    @property
    def revoked(self) -> list[str]:
        return sorted(self._revoked)

    def reset(self) -> None:
        self._revoked.clear()
        self._cache.clear()
        self._team_updates.clear()
        self.update_scope = "connection"
        self.seen_total = 0

    def authorize(self, facts: ConnectionFacts, authorization: bytes | None, now: float) -> str | None:
        """None, or the reason for a refusal. Binds the connection to the token's team and counts updates."""
        if authorization is None:
            return "MissingProviderToken"
        if facts.expired:
            return "ExpiredProviderToken"
        found = self._look_up(authorization)
        if isinstance(found, str):
            return found
        key = found.key
        if key.key_id in self._revoked or found.issued_at > now + MAX_SKEW_SECONDS:
            return "InvalidProviderToken"
        if now - found.issued_at > MAX_AGE_SECONDS:
            # pushy's experience: once told so, a connection never recovers; only a new one does.
            facts.expired = True
            return "ExpiredProviderToken"
        if key.environment not in {"both", self._environment}:
            return "BadEnvironmentKeyIdInToken"
        if facts.team_id is not None and facts.team_id != key.team_id:
            return "InvalidProviderToken"
        if facts.key_id is not None and facts.key_id != key.key_id:
            return "UnrelatedKeyIdInToken"
        if facts.current != authorization:
            # Both remember, so that a scope that is switched meanwhile knows what has been used.
            team_allows = self._team_updates.setdefault(key.team_id, Updates()).allow(authorization, now)
            connection_allows = facts.updates.allow(authorization, now)
            if not (team_allows if self.update_scope == "team" else connection_allows):
                return "TooManyProviderTokenUpdates"
            facts.team_id, facts.key_id = key.team_id, key.key_id
            facts.current, facts.current_issued_at, facts.topics = authorization, found.issued_at, key.topics
        return None

    def _look_up(self, authorization: bytes) -> ProviderToken | str:
        found = self._cache.get(authorization)
        if found is None:
            found = self._verify(authorization)
            self._cache[authorization] = found
            if len(self._cache) > _CACHED_TOKENS:
                self._cache.popitem(last=False)
        return found

    def _verify(self, authorization: bytes) -> ProviderToken | str:
        scheme, _, text = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not text:
            return "MissingProviderToken" if not text else "InvalidProviderToken"
        try:
            header = jwt.get_unverified_header(text)
            key = self._keys[str(header.get("kid"))]
            options: Any = {"verify_iat": False, "verify_exp": False, "verify_nbf": False, "verify_aud": False}
            claims = jwt.decode(text, key.public_key, algorithms=["ES256"], options=options)
            issued_at = float(claims["iat"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            return "InvalidProviderToken"
        if claims.get("iss") != key.team_id:
            return "InvalidProviderToken"
        self.seen_total += 1
        return ProviderToken(key, issued_at)
