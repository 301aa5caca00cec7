"""What a request's fields ask for: an access token, a message to a project's devices, or a device's topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from pushcast.simulators.fcm import errors


class Subscription(NamedTuple):
    """A device's topic. `adds`: it is to follow it; else it is to leave it."""

    registration: str
    topic: str
    adds: bool


@dataclass(slots=True)
class Target:
    """What a request's fields say; `fault` is the front end's refusal, apart from the credential."""

    kind: str
    project: str = ""
    authorization: bytes | None = None
    subscription: Subscription | None = None
    fault: errors.FcmFault | None = None


def target_of(fields: Mapping[bytes, bytes]) -> Target:
    """As Google's front end reads a path and a method."""
    path = fields.get(b":path", b"").decode(errors="replace")
    method = fields.get(b":method", b"")
    if path == "/token":
        return Target("token", fault=None if method == b"POST" else errors.METHOD_NOT_ALLOWED)
    parts = path.split("/")
    if len(parts) >= 7 and parts[4] == "registrations" and parts[6].startswith("topicSubscriptions"):
        return _of_topics(path, method, fields)
    matches = len(parts) == 5 and parts[1:3] == ["v1", "projects"] and parts[4] == "messages:send"
    fault = None
    if not fields.get(b":authority"):
        fault = errors.FcmFault(400, "INVALID_ARGUMENT", "Request without :authority.")
    elif not matches:
        fault = errors.NOT_FOUND
    elif method != b"POST":
        fault = errors.METHOD_NOT_ALLOWED
    return Target("send", parts[3] if matches else "", fields.get(b"authorization"), fault=fault)


def _of_topics(path: str, method: bytes, fields: Mapping[bytes, bytes]) -> Target:
    """POST …/registrations/ID/topicSubscriptions?topic_name=NAME, DELETE …/topicSubscriptions/NAME."""
    url = urlsplit(path)
    parts = url.path.split("/")
    found: Subscription | None = None
    if method == b"POST" and len(parts) == 7 and (names := parse_qs(url.query).get("topic_name")):
        found = Subscription(unquote(parts[5]), names[0], adds=True)
    elif method == b"DELETE" and len(parts) == 8:
        found = Subscription(unquote(parts[5]), unquote(parts[7]), adds=False)
    fault = errors.NOT_FOUND if found is None else None
    return Target("topics", parts[3], fields.get(b"authorization"), found, fault)
