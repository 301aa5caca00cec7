"""What a request's fields ask for: an access token, or a message to a project's devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pushcast.simulators.fcm import errors


@dataclass(slots=True)
class Target:
    """What a request's fields say; `fault` is the front end's refusal, apart from the credential."""

    kind: str
    project: str = ""
    authorization: bytes | None = None
    fault: errors.FcmFault | None = None


def target_of(fields: Mapping[bytes, bytes]) -> Target:
    """As Google's front end reads a path and a method."""
    path = fields.get(b":path", b"").decode(errors="replace")
    method = fields.get(b":method", b"")
    if path == "/token":
        return Target("token", fault=None if method == b"POST" else errors.METHOD_NOT_ALLOWED)
    parts = path.split("/")
    matches = len(parts) == 5 and parts[1:3] == ["v1", "projects"] and parts[4] == "messages:send"
    fault = None
    if not fields.get(b":authority"):
        fault = errors.FcmFault(400, "INVALID_ARGUMENT", "Request without :authority.")
    elif not matches:
        fault = errors.NOT_FOUND
    elif method != b"POST":
        fault = errors.METHOD_NOT_ALLOWED
    return Target("send", parts[3] if matches else "", fields.get(b"authorization"), fault)
