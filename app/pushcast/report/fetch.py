"""How other processes ask a reporter: HTTP on connections that stay open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx

from pushcast.model.errors import ConfigurationError


class Fetcher:
    """Callable as `coordinator.Fetch`. Close it."""

    def __init__(self, token: str | None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # No proxy of the environment: reporters are reached directly.
        self._client = httpx.AsyncClient(headers=headers, trust_env=False, verify=False)  # noqa: S501 - plain HTTP

    async def __call__(self, url: str, path: str, parameters: Mapping[str, str]) -> bytes:
        """Raises OSError when there is no answer, or none with status 200."""
        try:
            answer = await self._client.get(url + path, params=dict(parameters))
        except httpx.HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        if answer.status_code != 200:
            raise OSError(f"HTTP {answer.status_code}")
        return answer.content

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


def read_token(file: Path | None) -> str | None:
    """What reporters and those who ask them share. Raises ConfigurationError."""
    if file is None:
        return None
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"reports.token_file: {file}: {error.strerror}") from None
