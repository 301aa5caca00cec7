"""A request and an answer as the handlers see them, without the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked. `path`: the placeholders of the route. Header names are lower case."""

    method: str
    body: bytes = b""
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    now_ms: int = 0
    items: Sequence[bytes] = ()  # of a bulk: the JSON of each

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


def answer(status: int, value: Any, **headers: str) -> Answer:
    """A JSON answer; underscores in header names stand for dashes."""
    return Answer(status, orjson.dumps(value), {name.replace("_", "-"): text for name, text in headers.items()})
