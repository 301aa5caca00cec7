"""Asks a process of ours, on connections that stay open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import httpx

#: An answer must have come by then, where nobody says otherwise.
ANSWER_SECONDS: Final = 5.0


class InnerAnswer(NamedTuple):
    """What a process says."""

    status: int
    content: bytes

    def found(self) -> bytes:
        """The content of an answer with status 200. Raises OSError for another."""
        if self.status != 200:
            raise OSError(f"HTTP {self.status}")
        return self.content


class InnerClient:
    """Close it. `token`: the bearer token that an inner port demands; None: it is on loopback, and demands none."""

    def __init__(self, token: str | None = None, seconds: float = ANSWER_SECONDS) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # No proxy of the environment: processes are reached directly. Nothing to verify: it is plain HTTP.
        self._client = httpx.AsyncClient(headers=headers, trust_env=False, verify=False, timeout=seconds)  # noqa: S501

    async def get(self, url: str, parameters: Mapping[str, str] | None = None) -> InnerAnswer:
        """Raises OSError when there is no answer."""
        return await self._ask("GET", url, params=None if parameters is None else dict(parameters))

    async def post(self, url: str, content: bytes) -> InnerAnswer:
        """Raises OSError when there is no answer."""
        return await self._ask("POST", url, content=content)

    async def post_form(self, url: str, parameters: Mapping[str, str]) -> InnerAnswer:
        """Parameters that may be longer than a line. Raises OSError when there is no answer."""
        return await self._ask("POST", url, data=dict(parameters))

    async def _ask(self, method: str, url: str, **body: Any) -> InnerAnswer:
        try:
            answer = await self._client.request(method, url, **body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        return InnerAnswer(answer.status_code, answer.content)

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()
