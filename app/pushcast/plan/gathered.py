"""Notifications that the keeper gathers: which ones, by what, and until when. Pure; times are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple

from pushcast.config.classes import Class
from pushcast.config.digests import Digest
from pushcast.model.notification import Notification
from pushcast.model.words import Reason
from pushcast.model.zones import WallTime, due_at, reading_of
from pushcast.wire.waiting.facts import Facts
from pushcast.wire.waiting.held import Released, has_passed


class _Rule(NamedTuple):
    key: str
    window_ms: int
    readings: Sequence[WallTime]  # if any, instead of the window


class Gathered:
    """Of the classes of one configuration."""

    def __init__(self, classes: Mapping[str, Class]) -> None:
        self._rules = {name: _rule(each.digest) for name, each in classes.items() if each.digest is not None}
        self.classes = frozenset(self._rules)

    def takes(self, note: Notification, released: Released | None) -> bool:
        """Whether it waits for others. What comes at a local time comes to each device at another, so it does not."""
        if note.klass not in self._rules or (note.timing is not None and note.timing.is_local):
            return False
        return released is None or not has_passed(released.passed, Reason.DIGEST)

    def until(self, note: Notification, from_ms: int, zone: tzinfo) -> int:
        """When a digest leaves that this one opens. `zone`: the user's."""
        rule = self._rules[note.klass]
        if not rule.readings:
            return from_ms + rule.window_ms
        return min(due_at(reading, zone, from_ms) for reading in rule.readings)

    def facts(self, note: Notification) -> Facts:
        """What the keeper has to know of it."""
        key = self._rules[note.klass].key
        shared = note.digest_key if key == "digest_key" else note.options.thread_id if key == "thread_id" else None
        return facts_of(note, shared or "")


def facts_of(note: Notification, shared: str = "") -> Facts:
    """What the keeper has to know of a member of a digest. `shared`: by all members, beside user, app and class."""
    title = note.content.title or note.content.body or ""
    return Facts(Reason.DIGEST, note.klass, note.expires_at, note.app, shared, title, note.options.dry_run)


def _rule(digest: Digest) -> _Rule:
    readings = [reading for text in digest.at if (reading := reading_of(text)) is not None]
    return _Rule(digest.key, (digest.window_seconds or 0) * 1000, readings)
