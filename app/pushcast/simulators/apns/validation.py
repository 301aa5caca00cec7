"""What APNs refuses in a request's headers and payload; the order follows pushy's validating mock server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from pushcast.http2.server_hpack import Field
from pushcast.wire.json_errors import UNREADABLE

DEVICE_PATH: Final = b"/3/device/"
_PRIORITIES: Final = {b"1", b"5", b"10"}
_DEFAULT_LIMIT_BYTES: Final = 4_096
# Apple, "Generating a remote notification": VoIP 5 KB; broadcast Live Activities 5 KB.
LIMIT_BYTES: Final = {b"voip": 5_120}
BROADCAST_LIMIT_BYTES: Final = 5_120
# Apple, "Sending notification requests to APNs", apns-push-type. None: no suffix of its own.
TOPIC_SUFFIX: Final[dict[bytes, bytes | None]] = {
    b"alert": None,
    b"background": None,
    b"mdm": None,
    b"voip": b".voip",
    b"complication": b".complication",
    b"fileprovider": b".pushkit.fileprovider",
    b"location": b".location-query",
    b"liveactivity": b".push-type.liveactivity",
    b"pushtotalk": b".voip-ptt",
    b"widgets": b".push-type.widgets",
    b"controls": b".push-type.controls",
}
_SUFFIXES: Final = tuple(suffix for suffix in TOPIC_SUFFIX.values() if suffix is not None)
_SINGLE: Final = (
    b"authorization",
    b"apns-id",
    b"apns-topic",
    b"apns-push-type",
    b"apns-priority",
    b"apns-expiration",
    b"apns-collapse-id",
)


class _Payload(msgspec.Struct):
    aps: dict[str, object] | None = None


_DECODER: Final = msgspec.json.Decoder(_Payload)
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields APNs looks at; absent ones are empty."""

    method: bytes
    path: bytes
    authorization: bytes | None
    message_id: bytes
    topic: bytes
    push_type: bytes
    priority: bytes
    expiration: bytes
    collapse_id: bytes
    content_length: bytes
    channel_id: bytes
    duplicated: bool

    @classmethod
    def of(cls, fields: list[Field]) -> Headers:
        found = dict(fields)
        names = [name for name, _ in fields]
        return cls(
            found.get(b":method", b""),
            found.get(b":path", b""),
            found.get(b"authorization"),
            found.get(b"apns-id", b""),
            found.get(b"apns-topic", b""),
            found.get(b"apns-push-type", b""),
            found.get(b"apns-priority", b""),
            found.get(b"apns-expiration", b""),
            found.get(b"apns-collapse-id", b""),
            found.get(b"content-length", b""),
            found.get(b"apns-channel-id", b""),
            any(names.count(name) > 1 for name in _SINGLE),
        )


def bundle_of(topic: bytes) -> bytes:
    """The topic without the suffix of its push type."""
    for suffix in _SUFFIXES:
        if topic.endswith(suffix):
            return topic[: -len(suffix)]
    return topic


def refuse_message_id(message_id: bytes) -> str | None:
    """Canonical UUID, 8-4-4-4-12; Apple asks for lower case, and upper case is let pass."""
    if len(message_id) != 36 or message_id[8:24:5] != b"----":
        return "BadMessageId"
    digits = message_id.replace(b"-", b"")
    return None if len(digits) == 32 and _HEX.issuperset(digits) else "BadMessageId"


def refuse_request(headers: Headers) -> str | None:
    """What stands before the topic in the order of checks."""
    if headers.duplicated:
        return "DuplicateHeaders"
    return None if headers.method == b"POST" else "MethodNotAllowed"


def refuse_headers(headers: Headers) -> str | None:
    """The first reason behind the topic that does not depend on the path, the token or the payload."""
    if len(headers.collapse_id) > 64:
        return "BadCollapseId"
    if headers.priority and headers.priority not in _PRIORITIES:
        return "BadPriority"
    if headers.push_type == b"background" and headers.priority != b"5":
        return "BadPriority"
    if headers.expiration and not headers.expiration.isdigit():
        return "BadExpirationDate"
    if headers.push_type and headers.push_type not in TOPIC_SUFFIX:
        return "InvalidPushType"
    return refuse_suffix(headers.topic, headers.push_type)


def refuse_suffix(topic: bytes, push_type: bytes) -> str | None:
    """Reason when topic suffix and push type do not belong together, else None."""
    if not topic or not push_type:
        return None
    suffix = TOPIC_SUFFIX[push_type]
    if suffix is None:
        return "BadTopic" if push_type != b"mdm" and topic.endswith(_SUFFIXES) else None
    return None if topic.endswith(suffix) else "BadTopic"


def refuse_path(path: bytes) -> str | None:
    """Reason when the path names no device token, else None."""
    if not path.startswith(DEVICE_PATH):
        return "BadPath"
    token = path[len(DEVICE_PATH) :]
    if not token:
        return "MissingDeviceToken"
    # The length is not contractual (Apple: up to 100 bytes today), so only what can never be a token is refused.
    if len(token) & 1 or len(token) < 16 or not _HEX.issuperset(token):
        return "BadDeviceToken"
    return None


def refuse_payload(body: bytes, limit_bytes: int) -> str | None:
    """Size and emptiness. A body that is not a JSON object with `aps` counts as empty (Apple names no other reason)."""
    if len(body) > limit_bytes:
        return "PayloadTooLarge"
    if not body:
        return "PayloadEmpty"
    try:
        return None if _DECODER.decode(body).aps is not None else "PayloadEmpty"
    except UNREADABLE:
        return "PayloadEmpty"
