"""Reading a request to Expo: gzip, one message or many, `to` of one or many; its token conventions."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any, Final

# Expo, "Sending notifications": 100 per request, 600 a second and project, 4096 bytes, 1000 receipt ids.
MAX_RECIPIENTS: Final = 100
MAX_RECEIPT_IDS: Final = 1_000
MAX_BYTES: Final = 4_096
_MAX_INFLATED_BYTES: Final = 4 * 1024 * 1024
_UUID: Final = r"[0-9a-z]{8}(?:-[0-9a-z]{4}){3}-[0-9a-z]{12}"
_TOKEN: Final = re.compile(rf"Expo(?:nent)?PushToken\[[^\]]+\]|{_UUID}", re.IGNORECASE)
#: JSON may hold half of a surrogate pair, and JavaScript takes it.
_AS_SENT: Final = ("utf-8", "surrogatepass")
_FIELDS: Final = frozenset(
    {
        *("to", "title", "subtitle", "body", "data", "sound", "ttl", "expiration", "priority", "badge", "icon", "tag"),
        *("interruptionLevel", "channelId", "categoryId", "richContent", "mutableContent", "contentAvailable"),
        *("_contentAvailable", "_displayInForeground", "collapseId", "threadId", "relevanceScore", "targetContentId"),
        "filterCriteria",
    }
)
# What a token's name begins with decides: error of the ticket, or of the receipt.
_TICKET_ERRORS: Final = {"unreg": "DeviceNotRegistered", "big": "MessageTooBig"}
_RECEIPT_ERRORS: Final = {
    "rcpt-unreg": "DeviceNotRegistered",
    "rcpt-big": "MessageTooBig",
    "rate": "MessageRateExceeded",
    "cred": "InvalidCredentials",
    "mismatch": "MismatchSenderId",
    "developer": "DeveloperError",
    "expo-error": "ExpoError",
    "provider-error": "ProviderError",
}


class BadRequest(Exception):
    """A whole request is refused: `code` is Expo's word."""

    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details

    def body(self) -> bytes:
        error: dict[str, Any] = {"code": self.code, "message": str(self), "isTransient": self.status >= 429}
        if self.details is not None:
            error["details"] = self.details
        return json.dumps({"errors": [error]}).encode()


@dataclass(frozen=True, slots=True)
class Push:
    """One recipient of one message; `content` is the message without its recipients, canonical."""

    token: str
    content: bytes

    @property
    def address(self) -> bytes:
        """The token as rules and counters know it."""
        return self.token.encode(*_AS_SENT)


def inflate(body: bytes, encoding: bytes) -> bytes:
    """Undoes `content-encoding: gzip`; at most 4 MiB. Raises BadRequest."""
    if encoding != b"gzip":
        return body
    machine = zlib.decompressobj(wbits=31)
    try:
        plain = machine.decompress(body, _MAX_INFLATED_BYTES)
    except zlib.error:
        raise BadRequest(400, "VALIDATION_ERROR", "The request body is not gzip.") from None
    if machine.unconsumed_tail:
        raise BadRequest(413, "VALIDATION_ERROR", "The request body is too large.")
    return plain


def parse(body: bytes, *, checks: bool) -> list[Push]:
    """Every recipient in order. Raises BadRequest for what Expo refuses as a whole."""
    value = _json(body)
    messages = value if isinstance(value, list) else [value]
    pushes: list[Push] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest(400, "VALIDATION_ERROR", f'"[{index}]" must be of type object.')
        recipients = message.get("to")
        tokens = recipients if isinstance(recipients, list) else [recipients]
        named = [token for token in tokens if isinstance(token, str)]
        if not named or len(named) != len(tokens):
            raise BadRequest(400, "VALIDATION_ERROR", f'"[{index}].to" is required.')
        unknown = set(message) - _FIELDS
        if checks and unknown:
            raise BadRequest(400, "VALIDATION_ERROR", f'"[{index}].{min(unknown)}" is not allowed.')
        content = {name: field for name, field in message.items() if name != "to"}
        # As it came: with escapes, a text in Cyrillic would weigh three times what it does at Expo.
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(*_AS_SENT)
        pushes.extend(Push(token, canonical) for token in named)
    if checks and len(pushes) > MAX_RECIPIENTS:
        text = f"Cannot send more than {MAX_RECIPIENTS} notifications at once: {len(pushes)}."
        raise BadRequest(400, "PUSH_TOO_MANY_NOTIFICATIONS", text)
    return pushes


def receipt_ids(body: bytes) -> list[str]:
    """Raises BadRequest."""
    value = _json(body)
    ids = value.get("ids") if isinstance(value, dict) else None
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise BadRequest(400, "VALIDATION_ERROR", '"ids" must be an array of strings.')
    if len(ids) > MAX_RECEIPT_IDS:
        raise BadRequest(400, "PUSH_TOO_MANY_RECEIPTS", f"Cannot read more than {MAX_RECEIPT_IDS} receipts at once.")
    return ids


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(400, "VALIDATION_ERROR", "The request body is not JSON.") from None


def is_token(token: str) -> bool:
    """Whether it has the form of an Expo push token."""
    return _TOKEN.fullmatch(token) is not None


def name_of(token: str) -> str:
    """What is between the brackets."""
    return token.partition("[")[2].rstrip("]") or token


def ticket_error(token: str) -> str | None:
    """The error that a token with this prefix gets as its ticket."""
    return _by_name(_TICKET_ERRORS, token)


def receipt_error(token: str) -> str | None:
    """The error that a token with this prefix gets in its receipt."""
    return _by_name(_RECEIPT_ERRORS, token)


def _by_name(table: dict[str, str], token: str) -> str | None:
    name = name_of(token)
    return next((error for prefix, error in table.items() if name.startswith(prefix + "-")), None)
