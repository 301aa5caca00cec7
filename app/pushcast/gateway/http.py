"""A request and an answer as the handlers see them, without the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
import orjson

from pushcast.observe.request_spans import RequestSpan
from pushcast.wire.headers import TRACEPARENT, Headers

_STATUS: Final = {int(each): f"{int(each)} {each.phrase}" for each in HTTPStatus}
FIRST_LINES: Final = 2  # status and content type
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
_JSON_KINDS: Final = frozenset(("*/*", "application/*", JSON, "application/problem+json"))
_LINES_KINDS: Final = frozenset((NDJSON,))
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_NEVER: Final = re.compile(r"q=0(\.0{0,3})?")


class Request(msgspec.Struct, frozen=True):
    """What a client asked. `path`: the placeholders of the route. Names of headers are looked up in lower case."""

    method: str
    body: bytes = b""
    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    now_ms: int = 0
    items: Sequence[bytes] = ()  # of a bulk: the JSON of each
    span: RequestSpan | None = None  # of a request that is sampled

    def headers_to(self, topic: str, records: int = 1) -> Headers | None:
        """Of records that it writes there: its trace, where it is sampled."""
        return None if self.span is None else [(TRACEPARENT, self.span.sends(topic, records))]

    @property
    def content_type(self) -> str:
        """Without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    content_type: str = JSON


class PendingAnswer(NamedTuple):
    """An answer that waits, mostly for Kafka's word on a record: `end` is called when the future is done or the seconds
    are over. It raises Problem."""

    future: asyncio.Future[Any]
    seconds: float
    end: Callable[[], Answer]


def head_of(answered: Answer, more: Mapping[str, str], now_seconds: float, closes: bool = False) -> bytes:
    """Status line and headers of HTTP/1.1, with the empty line behind them. Raises ValueError for a header that would
    be two."""
    text, lines = _first_lines(answered.status, answered.content_type), FIRST_LINES
    for headers in (more, answered.headers):
        for name, value in headers.items():
            text += f"{name}: {value}\r\n"
            lines += 1
    if closes and "Connection" not in answered.headers:
        text += "Connection: close\r\n"
        lines += 1
    if text.count("\n") != lines or text.count("\r") != lines:
        raise ValueError("a header of the answer holds a line break")
    return f"{text}Content-Length: {len(answered.body)}\r\nDate: {_date(int(now_seconds))}\r\n\r\n".encode("latin-1")


@lru_cache(maxsize=256)
def _first_lines(status: int, content_type: str) -> str:
    return f"HTTP/1.1 {_STATUS[status]}\r\nContent-Type: {content_type}\r\n"


def takes_json(accept: str | None) -> bool:
    """Whether a client that sends this header takes what is answered."""
    return accept is None or accept in ("*/*", JSON) or _takes_json(accept)


def wants_lines(accept: str | None) -> bool:
    """Whether a client that sends this header asks by name for an answer of lines."""
    return accept is not None and _names(accept, _LINES_KINDS)


@lru_cache(maxsize=64)
def _takes_json(accept: str) -> bool:
    return _names(accept, _JSON_KINDS) or not accept.strip()


def _names(accept: str, kinds: Collection[str]) -> bool:
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind in kinds and not any(_NEVER.fullmatch(part) for part in parameters):
            return True
    return False


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def report_path(note_id: str, user: str | None = None) -> str:
    """Where a client asks what became of it. An id may hold line breaks: nothing of it stands in a header as it is."""
    path = f"/v1/reports/{_quoted(note_id)}"
    return path if user is None else f"{path}?user={_quoted(user)}"


def _quoted(text: str) -> str:
    """As RFC 3986 has it in a path segment. Most ids need nothing, which is seen in half of the time."""
    return text if _UNRESERVED(text) is not None else quote(text, safe="")


def answer(status: int, value: Any, **headers: str) -> Answer:
    """A JSON answer; underscores in header names stand for dashes."""
    return Answer(status, orjson.dumps(value), {name.replace("_", "-"): text for name, text in headers.items()})
