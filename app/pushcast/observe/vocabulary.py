"""Which label values may appear: a scrape must stay small whatever comes in from outside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from pushcast.model.words import Lane, Outcome, Platform, Reason
from pushcast.observe.catalogue import Label

OTHER: Final = "other"
#: Words of ours that no list holds (provider verdicts, group names): this many per label, then `other`.
MAX_OPEN_VALUES: Final = 150
_WORD = re.compile(r"[a-z0-9][A-Za-z0-9._-]{0,63}")


class Vocabulary:
    """Known values per label.

    `app`, `class`, `topic`, `partition`, `platform`, `lane` and `outcome` are closed: anything else is `other`. The
    rest take words of at most 64 characters, at most 150 different ones per label in the life of the process, besides
    the known ones.
    """

    def __init__(
        self,
        *,
        apps: Iterable[str] = (),
        classes: Iterable[str] = (),
        topics: Iterable[str] = (),
        reasons: Iterable[str] = (),
        groups: Iterable[str] = (),
        partitions: int = 0,
    ) -> None:
        self._closed = {
            Label.APP: frozenset(apps),
            Label.CLASS: frozenset(classes),
            Label.TOPIC: frozenset(topics),
            Label.PARTITION: frozenset(map(str, range(partitions))),
            Label.PLATFORM: frozenset(Platform),
            Label.LANE: frozenset(Lane),
            Label.OUTCOME: frozenset(Outcome),
        }
        self._known = {Label.REASON: frozenset(Reason) | frozenset(reasons), Label.GROUP: frozenset(groups)}
        self._open: dict[Label, set[str]] = {}
        self.refused: Counter[Label] = Counter()

    def admit(self, label: Label, value: str) -> str:
        """The value, or `other`. An empty one means that the label does not apply and stays."""
        if not value or value == OTHER:
            return value
        closed = self._closed.get(label)
        if closed is not None:
            if value in closed:
                return str(value)
        elif value in self._known.get(label, ()) or self._admit_open(label, value):
            return str(value)
        self.refused[label] += 1
        return OTHER

    def _admit_open(self, label: Label, value: str) -> bool:
        values = self._open.setdefault(label, set())
        if value in values:
            return True
        if len(values) >= MAX_OPEN_VALUES or not _WORD.fullmatch(value):
            return False
        values.add(str(value))
        return True
