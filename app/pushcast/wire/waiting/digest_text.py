"""The push that a digest leaves as: an event like a producer's, written by the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from pushcast.model.digest import DigestRule
from pushcast.wire.times import rfc3339
from pushcast.wire.waiting.digests import Head

#: Together they fit into every provider's 4 KB, however long the members are.
MAX_TITLE_BYTES: Final = 256
MAX_BODY_BYTES: Final = 1_024
MAX_LISTED_BYTES: Final = 1_024  # of ids
MAX_THREAD_BYTES: Final = 256  # a longer one is left out


class DigestPart(NamedTuple):
    """A member as its digest shows it."""

    note_id: str
    title: str
    expires_at: int


def digest_event(head: Head, members: Sequence[DigestPart], at_ms: int, rule: DigestRule) -> bytes:
    """JSON of the notification; `members` as they joined, at least one. It expires with the class's time to live, and
    with the last of its members at the latest. It belongs to their thread, if they share one: who has switched that off
    meanwhile is not sent to, and who cancels it means the digest, too."""
    texts = {
        "count": str(len(members)),
        "first_title": members[0].title,
        "last_title": members[-1].title,
        "app": head.app or "",
    }
    expires_at = min(at_ms + rule.ttl_ms, max(member.expires_at for member in members))
    event: dict[str, object] = {
        "id": head.id,
        "class": head.klass,
        "title": _cut(_filled(rule.title, texts), MAX_TITLE_BYTES),
        "body": _cut(_filled(rule.body, texts), MAX_BODY_BYTES),
        "data": {
            "digest_ids": _listed([member.note_id for member in members], rule.listed),
            "digest_count": len(members),
        },
        "created_at": rfc3339(at_ms),
        "expires_at": rfc3339(expires_at),
    }
    if head.app is not None:
        event["app"] = head.app
    options: dict[str, object] = {"dry_run": True} if head.dry_run else {}
    if rule.of_thread and head.key and len(head.key.encode()) <= MAX_THREAD_BYTES:
        options["thread_id"] = head.key
    if options:
        event["options"] = options
    return msgspec.json.encode(event)


def _filled(text: str, texts: dict[str, str]) -> str:
    """No template language: a member's title that holds braces is not filled again."""
    parts = text.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        filled.append(texts[name] + rest if brace and name in texts else "{" + part)
    return "".join(filled)


def _cut(text: str, most: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[: most - len("…".encode())].decode(errors="ignore") + "…"


def _listed(ids: Sequence[str], most: int) -> list[str]:
    """The newest, oldest of them first."""
    found: list[str] = []
    size = 0
    for note_id in reversed(ids[-most:]):
        size += len(note_id.encode())
        if size > MAX_LISTED_BYTES:
            break
        found.append(note_id)
    return found[::-1]
