"""One try: a signed request, and what the endpoint said to it."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
from collections.abc import Sequence
from typing import Final

import httpx

from pushcast import __version__
from pushcast.webhook.guard import Blocked
from pushcast.webhook.patience import TAKEN, Said
from pushcast.webhook.signing import headers_of

logger = logging.getLogger(__name__)

#: Of an answer; its content means nothing and is never shown.
MAX_ANSWER_BYTES: Final = 1024
_FIXED: Final = {"Content-Type": "application/json", "User-Agent": f"Pushcast/{__version__}"}


class Poster:
    """Posts to one URL. Follows no redirect and takes no proxy from the environment. Close it."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport, timeout_seconds: float) -> None:
        self._url = url
        self._seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            transport=transport, timeout=timeout_seconds, follow_redirects=False, trust_env=False, headers=_FIXED
        )

    async def post(self, request_id: str, body: bytes, secrets: Sequence[bytes], now_seconds: float) -> Said:
        """Within the time-out as a whole, however slowly the answer drips."""
        headers = headers_of(secrets, request_id, int(now_seconds), body)
        try:
            async with asyncio.timeout(self._seconds):
                async with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                    await _drain(answer)
        except Blocked:
            return Said("blocked_address")
        except (TimeoutError, httpx.TimeoutException):
            return Said("timeout")
        except (OSError, httpx.HTTPError):
            return Said("connection")
        except Exception as error:
            # It must not end the reporter. Its text may name the URL, which may hold a secret.
            logger.warning("a request of a webhook could not be made: %s", type(error).__name__)
            return Said("connection")
        if answer.is_success:
            return Said(TAKEN)
        return Said(f"http_{answer.status_code}", _retry_after(answer, now_seconds))

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


async def _drain(answer: httpx.Response) -> None:
    """A short answer is read to its end, so that the connection can be used again; of a long one 1 KiB.

    The status is the answer. One that closes without having read our body makes its system reset the connection, which
    may come in the middle of what it said after the status.
    """
    size = 0
    with contextlib.suppress(httpx.NetworkError, httpx.RemoteProtocolError, OSError):
        async for chunk in answer.aiter_raw(MAX_ANSWER_BYTES):
            size += len(chunk)
            if size >= MAX_ANSWER_BYTES:
                return


def _retry_after(answer: httpx.Response, now_seconds: float) -> float | None:
    text = answer.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - now_seconds
    except (TypeError, ValueError, OverflowError):  # the last: a day or year that no clock can tell
        return None
