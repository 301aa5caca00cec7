"""FCM's judgement of a request body: JSON, schema with field paths, limits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pushcast.simulators.fcm import errors
from pushcast.simulators.fcm.errors import FcmFault, field_violation
from pushcast.simulators.fcm.schema import snake, struct_of
from pushcast.wire.json_errors import UNREADABLE, no_unicode

# Firebase, "About FCM messages": 4096 bytes, 2048 to topics; ttl at most four weeks.
MAX_BYTES: Final = 4_096
MAX_TOPIC_BYTES: Final = 2_048
MAX_TTL_SECONDS: Final = 2_419_200
# A Duration of Protocol Buffers has at most 12 digits before its point.
_TTL: Final = re.compile(r"(\d{1,12})(?:\.\d{1,9})?s")
_TOPIC: Final = re.compile(r"(?:/topics/)?[a-zA-Z0-9\-_.~%]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_\-:%.]+")
_RESERVED: Final = ("google.", "gcm.")
_FREE: Final = frozenset(("data", "headers", "payload"))


_DECODER: Final = msgspec.json.Decoder(struct_of("SendMessageRequest"))


@dataclass(slots=True)
class Parsed:
    """`address` is token, fid, topic or condition; empty when there is none."""

    address: bytes
    validate_only: bool = False
    collapsible: bool = False
    fault: FcmFault | None = None


def address_of(body: bytes) -> bytes:
    """The token without parsing, for a simulator whose checks are off."""
    start = body.find(b'"token":')
    if start < 0:
        return b""
    start = body.find(b'"', start + 8) + 1
    return body[start : body.find(b'"', start)]


def parse(body: bytes) -> Parsed:
    """The address also where the body is at fault, so that rules and token prefixes can come first."""
    try:
        request = _DECODER.decode(body)
    except UNREADABLE:
        return _parse_slowly(body)
    return _judge(request, len(body))


def _judge(request: Any, size: int) -> Parsed:
    message = request.message
    if message is None:
        return Parsed(b"", fault=errors.NO_RECIPIENT)
    address = message.token or message.fid or message.topic or message.condition or ""
    android = message.android
    collapsible = android is not None and android.collapse_key is not None and android.ttl != "0s"
    fault = _fault(message, android, size)
    return Parsed(address.encode(), bool(request.validate_only), collapsible, fault)


def _fault(message: Any, android: Any, size: int) -> FcmFault | None:
    targets = (message.token is not None) + (message.fid is not None)
    targets += (message.topic is not None) + (message.condition is not None)
    if not targets:
        return errors.NO_RECIPIENT
    if targets > 1:
        return field_violation("message", "Exactly one of token, fid, topic and condition is required.")
    if message.token is not None and (len(message.token) < 16 or not _TOKEN.fullmatch(message.token)):
        return errors.BAD_TOKEN
    if message.topic is not None and not _TOPIC.fullmatch(message.topic):
        return field_violation("message.topic", f"Malformed topic name: {message.topic}")
    if message.condition is not None and message.condition.count(" in topics") > 5:
        return field_violation("message.condition", "Condition has more than 5 topics.")
    for key in message.data or ():
        if key in {"from", "message_type"} or key.startswith(_RESERVED):
            return field_violation("message.data", f"Invalid data payload key: {key}")
    if android is not None and android.ttl is not None:
        ttl = _TTL.fullmatch(android.ttl)
        if ttl is None:
            description = (
                f"Invalid value at 'message.android.ttl' (type.googleapis.com/google.protobuf.Duration), {android.ttl}"
            )
            return field_violation("message.android.ttl", description, error_code=None)
        if int(ttl[1]) > MAX_TTL_SECONDS:
            return field_violation("message.android.ttl", "Invalid value for ttl: must be in [0, 2419200] seconds.")
    limit = MAX_BYTES if message.topic is None else MAX_TOPIC_BYTES
    # Measuring is only worth it for a body that could be too large.
    return errors.TOO_LARGE if size > limit and payload_bytes(message) > limit else None


def payload_bytes(message: Any) -> int:
    """What counts against the limit: keys and values of notification and data, as the kind of device that gets most of
    them has them. An `android` or `webpush` block adds to the notification and has data instead of the common one."""
    common = message.notification, message.data
    blocks = [(block.notification, block.data) for block in (message.android, message.webpush) if block is not None]
    notification, data = (msgspec.to_builtins(part) or {} for part in common)
    return max(
        _counted({**notification, **(msgspec.to_builtins(more) or {})}) + _counted(instead or data)
        for more, instead in [(None, None), *blocks]
    )


def _counted(part: dict[str, Any]) -> int:
    return sum(
        len(key.encode()) + len(value.encode() if isinstance(value, str) else msgspec.json.encode(value))
        for key, value in part.items()
    )


def _parse_slowly(body: bytes) -> Parsed:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return Parsed(b"", fault=FcmFault(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected token."))
    if no_unicode(body) is not None:  # half of a surrogate pair
        return Parsed(b"", fault=FcmFault(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Invalid UTF-16."))
    fields = _snake(value)
    try:
        return _judge(msgspec.convert(fields, _DECODER.type), len(body))
    except msgspec.ValidationError as error:
        message = fields.get("message") if isinstance(fields, dict) else None
        token = message.get("token") if isinstance(message, dict) else None
        return Parsed(token.encode() if isinstance(token, str) else b"", fault=_violation(str(error), fields))


def _snake(value: Any, *, depth: int = 0) -> Any:
    """Protobuf's JSON takes lowerCamelCase field names too; free maps (data, headers, payload) keep theirs."""
    if not isinstance(value, dict) or depth > 6:
        return value
    return {snake(name): item if name in _FREE else _snake(item, depth=depth + 1) for name, item in value.items()}


def _violation(text: str, value: Any) -> FcmFault:
    """msgspec's refusal as Google words it: the JSON parser answers these, so there is no FcmError."""
    description, _, path = text.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if "unknown field" in description:
        name = description.rpartition("unknown field ")[2].strip("`")
        where = f" at '{path}'" if path else ""
        problem = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
        return field_violation(path, problem, error_code=None)
    if "[...]" in path:
        head = path.partition("[...]")[0]
        entries: Any = value
        for part in head.split("."):
            entries = entries.get(part, {}) if isinstance(entries, dict) else {}
        wrong = (
            [i for i, item in enumerate(entries.values()) if not isinstance(item, str)]
            if isinstance(entries, dict)
            else []
        )
        path = f"{head}[{wrong[0] if wrong else 0}].value"
    problem = f"Invalid value at '{path}' ({description})"
    return field_violation(path, problem, error_code=None)
