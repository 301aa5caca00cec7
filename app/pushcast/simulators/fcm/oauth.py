"""Google's OAuth 2 token endpoint for service accounts (RFC 7523), and the access tokens it gave out."""

from __future__ import annotations

from collections import OrderedDict
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

import jwt

from pushcast.simulators.apps import ServiceAccount
from pushcast.simulators.clock import SimulatorClock

# google-auth puts this into every assertion whatever `token_uri` says.
GOOGLE_AUDIENCE: Final = "https://oauth2.googleapis.com/token"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPES: Final = frozenset(
    {
        "https://www.googleapis.com/auth/firebase.messaging",
        "https://www.googleapis.com/auth/cloud-platform",
        "https://www.googleapis.com/auth/firebase",
    }
)
# Google: an assertion lives at most one hour; the tolerance for clocks is an assumption.
_MAX_ASSERTION_SECONDS: Final = 3600
_SKEW_SECONDS: Final = 300
_MAX_TOKENS: Final = 10_000


class TokenEndpoint:
    """Remembers the last 10,000 access tokens."""

    def __init__(self, accounts: list[ServiceAccount], clock: SimulatorClock, random: Random) -> None:
        self._accounts = {account.client_email: account for account in accounts}
        self._clock = clock
        self._random = random
        self._tokens: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self.token_uri = ""
        self.reset()

    def reset(self) -> None:
        """Settings as at the start; tokens given out stay good."""
        self.lifetime_seconds = 3599.0
        self.failure: str | None = None
        self.revoked_projects: set[str] = set()
        self.issued = 0

    def revoke_all(self) -> None:
        """Every access token given out so far is refused from now on."""
        self._tokens.clear()

    def project_of(self, authorization: bytes | None) -> str | None:
        """The project an `authorization` value is good for now, or None."""
        found = self._tokens.get(authorization or b"")
        if found is None or found[1] <= self._clock.now() or found[0] in self.revoked_projects:
            return None
        return found[0]

    def expires_at(self, authorization: bytes) -> float:
        return self._tokens[authorization][1]

    def exchange(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON for a POSTed form."""
        if self.failure == "unavailable":
            return 503, {"error": "temporarily_unavailable", "error_description": "Service unavailable."}
        if self.failure is not None:
            return 400, {"error": self.failure, "error_description": "Scripted."}
        form = parse_qs(body.decode(errors="replace"))
        if form.get("grant_type") != [_GRANT]:
            return 400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type."}
        try:
            account = self._verify(form.get("assertion", [""])[0])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            return 400, {"error": "invalid_grant", "error_description": f"Invalid JWT: {type(error).__name__}."}
        if account.project_id in self.revoked_projects:
            return 400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
        token = f"ya29.sim.{self._random.getrandbits(256):064x}"
        self._tokens[b"Bearer " + token.encode()] = (account.project_id, self._clock.now() + self.lifetime_seconds)
        if len(self._tokens) > _MAX_TOKENS:
            self._tokens.popitem(last=False)
        self.issued += 1
        return 200, {"access_token": token, "expires_in": int(self.lifetime_seconds), "token_type": "Bearer"}

    def _verify(self, assertion: str) -> ServiceAccount:
        unverified = jwt.decode(assertion, options={"verify_signature": False})
        account = self._accounts[str(unverified.get("iss"))]
        options: Any = {"verify_iat": False, "verify_exp": False, "verify_aud": False}
        claims = jwt.decode(assertion, account.public_key, algorithms=["RS256"], options=options)
        now, issued_at, expires_at = self._clock.now(), float(claims["iat"]), float(claims["exp"])
        if claims["aud"] not in {GOOGLE_AUDIENCE, self.token_uri}:
            raise jwt.InvalidAudienceError
        if not issued_at - _SKEW_SECONDS <= now <= expires_at + _SKEW_SECONDS:
            raise jwt.ExpiredSignatureError
        if expires_at - issued_at > _MAX_ASSERTION_SECONDS:
            raise jwt.InvalidTokenError
        if not _SCOPES.intersection(str(claims.get("scope", "")).split()):
            raise ValueError("scope")
        return account
