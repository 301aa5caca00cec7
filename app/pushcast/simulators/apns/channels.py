"""Broadcast channels of Live Activities: management and what a publish refers to.

Source: Apple, "Sending channel management requests to APNs" and "Sending broadcast push notification requests to
APNs". Both live on the simulator's one port; Apple serves management on ports 2195 and 2196. Statuses of the errors are
an assumption where Apple's table names only the reason.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from random import Random
from typing import Final

# Apple: 10,000 channels per app and environment.
MAX_CHANNELS: Final = 10_000
_PUSH_TYPE: Final = "LiveActivity"


@dataclass(frozen=True, slots=True)
class Reply:
    """`reason` set: an error; otherwise `body` and, on creation, `channel_id` go into the answer."""

    status: int
    reason: str = ""
    channel_id: str = ""
    body: bytes = b""


class Channels:
    """Channels by bundle id; a channel's storage policy never changes."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._policies: dict[str, dict[str, int]] = {}

    def clear(self) -> None:
        self._policies.clear()

    def manage(self, method: str, bundle: str, every: bool, channel_id: str, body: bytes) -> Reply:
        """One request to `/1/apps/<bundle>/channels`, or to `all-channels` when `every`."""
        known = self._policies.setdefault(bundle, {})
        if every:
            if method != "GET":
                return Reply(405, "MethodNotAllowed")
            return Reply(200, body=json.dumps({"channels": list(known)}).encode())
        if method == "POST":
            return self._create(known, body)
        refused = self.refuse_id(bundle, channel_id)
        if refused:
            return Reply(400, refused)
        if method == "GET":
            value = {"message-storage-policy": known[channel_id], "push-type": _PUSH_TYPE}
            return Reply(200, body=json.dumps(value).encode())
        if method == "DELETE":
            del known[channel_id]
            return Reply(204)
        return Reply(405, "MethodNotAllowed")

    def _create(self, known: dict[str, int], body: bytes) -> Reply:
        try:
            value = json.loads(body)
            policy, push_type = value["message-storage-policy"], value["push-type"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return Reply(400, "BadRequestPayload")
        if (
            type(policy) is not int
            or policy not in {0, 1}
            or str(push_type).replace("-", "").lower() != _PUSH_TYPE.lower()
        ):
            return Reply(400, "BadRequestPayload")
        if len(known) >= MAX_CHANNELS:
            return Reply(400, "CannotCreateChannelConfig")
        channel_id = base64.b64encode(self._random.randbytes(16)).decode()
        known[channel_id] = policy
        return Reply(201, channel_id=channel_id)

    def refuse_id(self, bundle: str, channel_id: str) -> str | None:
        if not channel_id:
            return "MissingChannelId"
        try:
            base64.b64decode(channel_id, validate=True)
        except ValueError:  # binascii.Error is one, and so is what is not ASCII
            return "BadChannelId"
        return None if channel_id in self._policies.get(bundle, {}) else "ChannelNotRegistered"

    def stores(self, bundle: str, channel_id: str) -> bool:
        """Whether the channel keeps its newest message; only then may a publish have an expiration."""
        return bool(self._policies[bundle][channel_id])
