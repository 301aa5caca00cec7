"""How other processes ask a reporter: HTTP on connections that stay open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pushcast.inner.client import InnerClient
from pushcast.model.errors import ConfigurationError

#: What asks for more (500 reports by their ids) is a form: servers take no line of more than 8 KiB.
MAX_QUERY_CHARS: Final = 2000


class Fetcher:
    """Callable as `coordinator.Fetch`. Close it."""

    def __init__(self, token: str | None) -> None:
        self._client = InnerClient(token)

    async def __call__(self, url: str, path: str, parameters: Mapping[str, str]) -> bytes:
        """Raises OSError when there is no answer, or none with status 200."""
        if sum(map(len, parameters.values())) > MAX_QUERY_CHARS:
            return (await self._client.post_form(url + path, parameters)).found()
        return (await self._client.get(url + path, parameters)).found()

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.close()


def read_token(file: Path | None, setting: str = "reports.token_file") -> str | None:
    """What processes and those who ask them share. Raises ConfigurationError naming the setting."""
    if file is None:
        return None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "no text"
        raise ConfigurationError(f"{setting}: {file}: {problem}") from None
