"""Requests to Expo's API, and their answers as they are."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, NamedTuple

import httpx

from pushcast.http2.leave import MayLeave, always
from pushcast.model.words import Reason
from pushcast.providers.engines.engine import Slots
from pushcast.providers.engines.httpx_progress import NotLeft, RequestProgress
from pushcast.providers.expo.credentials import AccessToken
from pushcast.providers.expo.message import encoded
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import NOT_SENT_IN_TIME, Verdict, retry_after_seconds

# Expo's own SDK for Node sends as many requests at a time.
MAX_CONNECTIONS: Final = 6
MAX_ANSWER_BYTES: Final = 1_048_576
SEND_PATH: Final = "/--/api/v2/push/send"
RECEIPTS_PATH: Final = "/--/api/v2/push/getReceipts"
_KEEPALIVE_SECONDS: Final = 30.0
#: What `may_leave` said no to when it could have been written.
NOT_LEFT: Final = Verdict(Disposition.UNSENT, NOT_SENT_IN_TIME)


class ExpoAnswer(NamedTuple):
    """An HTTP answer of Expo, as it came."""

    status: int
    body: bytes
    retry_after: bytes | None

    def named_delay(self, now_ms: int) -> float | None:
        """Seconds that Expo asked for."""
        return retry_after_seconds(self.retry_after, now_ms)


class ExpoApi:
    """Connections to one endpoint with one access token."""

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        access_token: AccessToken,
        timeout_seconds: float,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        self._url = url
        self._tls = tls
        self._access_token = access_token
        self._timeout_seconds = timeout_seconds
        self._proxy = proxy
        self._client: httpx.AsyncClient | None = None
        self._slots = Slots(MAX_CONNECTIONS)

    @property
    def slow(self) -> bool:
        """As many requests as may be out are, and for long."""
        return self._slots.slow

    def start(self) -> None:
        """Connections open when they are needed."""
        self._client = httpx.AsyncClient(
            base_url=self._url,
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            proxy=self._proxy,
            timeout=None,  # noqa: S113 - its own go on while this process has no CPU; `RequestProgress` has limits
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=_KEEPALIVE_SECONDS,
            ),
        )

    async def close(self) -> None:
        """Call it after the last `post` has returned."""
        if self._client is not None:
            await self._client.aclose()

    async def post(self, path: str, body: bytes, may_leave: MayLeave = always) -> ExpoAnswer | Verdict:
        """The answer, or the verdict when there is none: NOT_LEFT when `may_leave` said no just before the write."""
        async with self._slots.one():
            return await self._post(path, body, may_leave)

    async def _post(self, path: str, body: bytes, may_leave: MayLeave) -> ExpoAnswer | Verdict:
        if self._client is None:
            return Verdict(Disposition.UNSENT, "closed_by_us")
        content, headers = encoded(body)
        headers["accept-encoding"] = "identity"
        authorization = self._access_token.header()
        if authorization is not None:
            headers["authorization"] = authorization
        progress = RequestProgress(may_leave)
        request = asyncio.create_task(_ask(self._client, path, content, headers, progress))
        try:
            if await progress.in_time(request, self._timeout_seconds):
                return request.result()
        except NotLeft:
            return NOT_LEFT
        except httpx.HTTPError:
            pass  # how far it had come says what that means
        finally:
            await _ended(request)
        if progress.begun:
            return Verdict(Disposition.UNKNOWN, str(Reason.UNKNOWN_OUTCOME))
        return Verdict(Disposition.UNSENT, str(Reason.CONNECTION_FAILED))


async def _ask(
    client: httpx.AsyncClient, path: str, content: bytes, headers: dict[str, str], progress: RequestProgress
) -> ExpoAnswer:
    extensions = {"trace": progress.trace}
    async with client.stream("POST", path, content=content, headers=headers, extensions=extensions) as response:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                break
    named = response.headers.get("retry-after")
    return ExpoAnswer(response.status_code, b"".join(parts), None if named is None else named.encode())


async def _ended(request: asyncio.Task[ExpoAnswer]) -> None:
    if not request.done():
        request.cancel()
        await asyncio.wait({request})
