"""Takes secrets out of what is logged. A second line of defence: no caller logs a token on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final

REDACTED: Final = "[redacted]"
MAX_TEXT_CHARS: Final = 8192
MAX_ITEMS: Final = 100
MAX_DEPTH: Final = 6

#: Fields whose value is never shown, whatever it looks like. Compared in lower case, with `-` as `_`.
SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "address",
        "addresses",
        "auth",
        "authorization",
        "client_secret",
        "device_token",
        "endpoint",
        "fid",
        "jwt",
        "p256dh",
        "password",
        "private_key",
        "push_token",
        "refresh_token",
        "sasl.password",
        "secret",
        "subscription",
        "token",
        "tokens",
    }
)

_NAMES = "|".join(sorted((re.escape(name).replace("_", "[-_]") for name in SECRET_NAMES), key=len, reverse=True))
_PATTERNS: Final = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    (re.compile(r"\bExpo(?:nent)?PushToken\[[^\]\s]*\]?"), REDACTED),
    # An Authorization value: scheme and credentials. VAPID: https://www.rfc-editor.org/rfc/rfc8292#section-3
    (
        re.compile(r"\b(bearer|basic|key|vapid)\s+(?:[tk]=)?[A-Za-z0-9._~+/=-]{8,}(?:,\s*k=[\w-]+)?", re.IGNORECASE),
        REDACTED,
    ),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), REDACTED),  # a JSON Web Token
    # name=value, "name": "value", name: value
    (
        re.compile(
            rf"""(?<![\w.])((?:\\?["'])?(?:{_NAMES})(?:\\?["'])?\s*[:=]\s*)(b?\\?["'][^"']*["']|[^\s,;)}}\]]+)""",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # APNs tokens have 64 hexadecimal digits or more; delivery ids and trace ids have 32.
    (re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{48,}(?![0-9A-Za-z])"), REDACTED),
    # FCM tokens, Web Push endpoints and keys.
    (re.compile(r"[\w-]+:APA91[\w-]+|[\w-]{64,}", re.ASCII), REDACTED),
)


def redact_text(text: str) -> str:
    """The text without anything that looks like a token, a key or a credential; cut at 8,192 characters."""
    if len(text) > MAX_TEXT_CHARS:
        text = f"{text[:MAX_TEXT_CHARS]}… ({len(text)} characters)"
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate is no JSON
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text something looks like a token, a key or a credential: first and last place, the last excluded."""
    for pattern, replacement in _PATTERNS:
        for found in pattern.finditer(text):
            yield (found.end(1) if replacement != REDACTED else found.start()), found.end()


def redact(value: Any, depth: int = 0) -> Any:
    """The same for structures: secret names lose their value, texts are searched, what is long or deep is cut."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)  # more is no JSON for orjson
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if depth >= MAX_DEPTH:
        return f"[{type(value).__name__}]"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_ITEMS]
        return {redact_text(str(name)): _field(str(name), item, depth) for name, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return redact_text(str(value))


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor; the last before rendering, so that exceptions are text already."""
    return {name: _field(name, value, 0) for name, value in event.items()}


def _field(name: str, value: Any, depth: int) -> Any:
    if name.lower().replace("-", "_") in SECRET_NAMES and value is not None:
        return REDACTED
    return redact(value, depth + 1)
