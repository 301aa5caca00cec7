"""Notifications of which a user gets only so many: the keeper, who counts them, is asked before they leave. Pure."""

from __future__ import annotations

from datetime import tzinfo

from pushcast.config.settings import Settings
from pushcast.model.gates import Override
from pushcast.model.notification import Notification
from pushcast.model.words import Reason
from pushcast.wire.waiting.facts import Facts
from pushcast.wire.waiting.held import Released, has_passed


class Limited:
    """Of one configuration. `classes`: those that a cap may hold up."""

    def __init__(self, settings: Settings) -> None:
        self._rules = [cap.rule for cap in settings.caps]
        self.classes = frozenset(name for name in settings.counted_classes if settings.classes[name].is_capped)

    def takes(self, note: Notification, released: Released | None) -> bool:
        """Whether the keeper has to be asked. Dry runs count in no cap; what passes by its own word takes its slot when
        it is accepted."""
        if note.klass not in self.classes or note.options.dry_run or Override.FREQUENCY_CAP in note.override:
            return False
        if released is not None and has_passed(released.passed, Reason.FREQUENCY_CAP):
            return False
        return any(rule.counts(note.klass, note.app or "") for rule in self._rules)

    @staticmethod
    def facts(note: Notification, zone: tzinfo) -> Facts:
        """What the keeper has to know of it. `zone`: the user's."""
        title = note.content.title or note.content.body or ""
        return Facts(Reason.FREQUENCY_CAP, note.klass, note.expires_at, note.app, title=title, zone=str(zone))
