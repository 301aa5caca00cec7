"""What is wrong with a request to a push service, in words; which of it matters is the service's affair."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Final

from pushcast.simulators.webpush.vapid import MAX_AGE_SECONDS, VapidVerifier

# RFC 8030 §5.2 leaves the maximum to the service; Mozilla: 30 days and an hour are cut to 30 days.
MAX_BODY_BYTES: Final = 4_096
_TOPIC: Final = re.compile(rb"[A-Za-z0-9_-]{1,32}")
_URGENCIES: Final = {b"", b"very-low", b"low", b"normal", b"high"}


class RequestFaults:
    """`now`: seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._vapid = VapidVerifier()
        self._now = now

    def of(self, origin: str, headers: Mapping[bytes, bytes], bound: bytes, body: bytes) -> list[str]:
        """Everything. `bound`: hash of the VAPID key that the subscription is bound to, or `any`."""
        found = self.of_vapid(origin, headers.get(b"authorization"), bound)
        ttl = headers.get(b"ttl")
        if ttl is None:
            found.append("no_ttl")
        elif not ttl.isdigit():
            found.append("bad_ttl")
        topic = headers.get(b"topic")
        if topic is not None and not _TOPIC.fullmatch(topic):
            found.append("bad_topic")
        if headers.get(b"urgency", b"") not in _URGENCIES:
            found.append("bad_urgency")
        if body and headers.get(b"content-encoding") != b"aes128gcm":
            found.append("bad_encoding")
        if len(body) > MAX_BODY_BYTES:
            found.append("too_large")
        return found

    def of_vapid(self, origin: str, authorization: bytes | None, bound: bytes) -> list[str]:
        """Of the sender's signature alone."""
        if authorization is None:
            return ["no_vapid"]
        vapid = self._vapid.verify(authorization)
        if vapid is None or vapid.audience.rstrip("/") != origin:
            return ["bad_vapid"]
        now = self._now()
        if vapid.expires_at <= now:
            return ["expired_vapid"]
        if vapid.expires_at > now + MAX_AGE_SECONDS:
            return ["bad_vapid"]
        if bound != b"any" and bound.decode() != key_hash(vapid.key):
            return ["wrong_key"]
        return [] if vapid.subject_is_good else ["bad_subject"]


def key_hash(public_key: bytes) -> str:
    """How an endpoint names the VAPID key that it is bound to."""
    return hashlib.sha256(public_key).hexdigest()[:16]
