"""OAuth 2.0 access tokens of a service account, fetched ahead of time and by one task at a time.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from pathlib import Path
from random import Random
from ssl import SSLContext
from typing import Any, Final, NamedTuple

import httpx
import orjson
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pushcast.http2.attended import within
from pushcast.model.clock import Clock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Reason
from pushcast.providers.credential import CredentialUnavailable, WatchedFile
from pushcast.providers.port import Disposition

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
# Of the assertion; Google's own address whatever the endpoint, as google-auth has it: a proxy is not the audience.
AUDIENCE: Final = "https://oauth2.googleapis.com/token"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS: Final = 3600
# Fetch the next token this long before the end of the present one, or at half its life if it is short.
AHEAD_SECONDS: Final = 300.0
REQUEST_TIMEOUT_SECONDS: Final = 10.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 65_536

log = structlog.get_logger(__name__)


class ServiceAccount(NamedTuple):
    """What a service account file says and we need."""

    client_email: str
    key: rsa.RSAPrivateKey
    key_id: str

    @classmethod
    def parse(cls, content: bytes, name: str) -> ServiceAccount:
        """Raises ConfigurationError naming the file and the field, never the content."""
        try:
            fields = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"service_account_file {name}: not JSON") from error
        if not isinstance(fields, dict):
            raise ConfigurationError(f"service_account_file {name}: not a JSON object")
        for field in ("client_email", "private_key", "private_key_id"):
            if not isinstance(fields.get(field), str) or not fields[field]:
                raise ConfigurationError(f"service_account_file {name}: {field} is missing")
        try:
            key = load_pem_private_key(fields["private_key"].encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigurationError(f"service_account_file {name}: private_key is no PEM private key") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ConfigurationError(f"service_account_file {name}: private_key is not an RSA key")
        return cls(fields["client_email"], key, fields["private_key_id"])

    def assertion(self, issued_at: int) -> bytes:
        """The signed JWT that is exchanged for an access token. Takes about a millisecond of CPU."""
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": issued_at,
            "exp": issued_at + ASSERTION_SECONDS,
        }
        signed = _b64(orjson.dumps(header)) + b"." + _b64(orjson.dumps(claims))
        return signed + b"." + _b64(self.key.sign(signed, padding.PKCS1v15(), SHA256()))


def _b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


class _Token(NamedTuple):
    header: bytes
    renew_at: float  # monotonic seconds
    expires_at: float


class AccessToken:
    """The access token of one service account at one token endpoint. Used on one running event loop.

    `header` waits only when there is no usable token; otherwise the next one is fetched behind the senders' backs. A
    failed fetch is not repeated before a jittered pause that doubles up to a minute; in between `header` raises at
    once. Raises ConfigurationError at construction.
    """

    def __init__(
        self,
        service_account_file: Path,
        token_endpoint: str,
        tls: SSLContext,
        clock: Clock,
        random: Random | None = None,
        *,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        self._file = WatchedFile(service_account_file)
        self._endpoint = token_endpoint
        self._tls = tls
        self._proxy = proxy
        self._clock = clock
        self._random = random or Random()
        self._account = self._load()
        self._token: _Token | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._problem: CredentialUnavailable | None = None
        self._pause_seconds = 0.0
        self._not_before = 0.0

    def _load(self) -> ServiceAccount:
        try:
            content = self._file.read()
        except OSError as error:
            raise ConfigurationError(f"service_account_file {self._file.path}: {error.strerror}") from error
        return ServiceAccount.parse(content, str(self._file.path))

    def current(self) -> bytes | None:
        now = self._clock.monotonic_seconds()
        if self._file.changed(now):
            self._reload()
        token = self._token
        if token is None or now >= token.expires_at:
            return None
        if now >= token.renew_at and now >= self._not_before:
            self._fetch()
        return token.header

    async def header(self) -> bytes:
        current = self.current()
        if current is not None:
            return current
        if self._fetching is None and self._problem is not None and self._clock.monotonic_seconds() < self._not_before:
            raise self._problem
        await asyncio.shield(self._fetch())
        if self._token is None:
            raise self._problem or _unavailable("no token")
        return self._token.header

    async def refresh(self, refused: bytes) -> None:
        if self._token is not None and self._token.header == refused:
            self._token = None

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _fetch(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_once())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch_once(self) -> None:
        """Of the account in the file: where it is replaced meanwhile, what comes of the old one counts for nothing."""
        account: ServiceAccount | None = None
        while account is not self._account:
            account = self._account
            token, problem = None, None
            try:
                token = await self._request()
            except CredentialUnavailable as error:
                problem = error
        if problem is None:
            self._token, self._problem, self._pause_seconds = token, None, 0.0
            return
        self._pause_seconds = min(self._pause_seconds * 2 or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        pause = self._pause_seconds * self._random.uniform(0.5, 1.0)
        problem.retry_after_seconds = pause
        self._problem = problem
        self._not_before = self._clock.monotonic_seconds() + pause
        log.warning("fcm_access_token_unavailable", problem=str(problem), reason=problem.reason)

    async def _request(self) -> _Token:
        loop = asyncio.get_running_loop()
        issued_at = self._clock.now_ms() // 1000
        assertion = await loop.run_in_executor(None, self._account.assertion, issued_at)
        asked_at = self._clock.monotonic_seconds()
        try:
            answer = await within(REQUEST_TIMEOUT_SECONDS, self._ask(assertion))
        except (httpx.HTTPError, OSError) as error:  # TimeoutError is an OSError
            raise _unavailable(type(error).__name__) from error
        return token_of(answer.status_code, answer.content, asked_at)

    async def _ask(self, assertion: bytes) -> httpx.Response:
        """Waits without bound: httpx's own timeouts are for each step and go on while this process has no CPU."""
        async with httpx.AsyncClient(
            verify=self._tls,
            timeout=None,  # noqa: S113 - the caller has a limit
            trust_env=False,
            follow_redirects=False,
            proxy=self._proxy,
        ) as client:
            return await client.post(self._endpoint, data={"grant_type": GRANT_TYPE, "assertion": assertion.decode()})

    def _reload(self) -> None:
        try:
            self._account = self._load()
        except ConfigurationError as error:
            log.warning("fcm_service_account_not_reloaded", problem=str(error))
            return
        self._token = None
        self._problem = None
        self._pause_seconds = self._not_before = 0.0


def _unavailable(problem: str) -> CredentialUnavailable:
    return CredentialUnavailable(f"token endpoint: {problem}", Disposition.UNSENT, str(Reason.PROVIDER_UNAVAILABLE))


def token_of(status: int, content: bytes, asked_at: float) -> _Token:
    """The token in an answer of the token endpoint. Raises CredentialUnavailable."""
    try:
        fields: Any = orjson.loads(content[:MAX_ANSWER_BYTES])
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        fields = {}
    if status == 200:
        access_token, expires_in = fields.get("access_token"), fields.get("expires_in", 3600)
        if isinstance(access_token, str) and access_token.isascii() and access_token.isprintable() and access_token:
            life = max(float(expires_in), 1.0) if isinstance(expires_in, int | float) else 3600.0
            ahead = min(AHEAD_SECONDS, life / 2)
            return _Token(b"Bearer " + access_token.encode(), asked_at + life - ahead, asked_at + life)
        raise _unavailable("200 without an access_token")
    if status in {400, 401, 403}:  # RFC 6749 §5.2; invalid_grant: the account's key or this machine's clock is wrong
        word = fields.get("error")
        shown = word if isinstance(word, str) and word.isidentifier() else "refused"
        raise CredentialUnavailable(
            f"token endpoint: {status} {shown}", Disposition.CREDENTIAL, str(Reason.CREDENTIAL_REFUSED)
        )
    raise _unavailable(str(status))
