"""What is kept of which class, and what is published to `push.report.v1`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from pushcast.report.notes import Note


class ReportedClass(Protocol):
    """`config.settings.Class`."""

    @property
    def report(self) -> str | None: ...


class Modes(NamedTuple):
    """Classes by mode. `history`: deliveries of users and no sums. `full`: sums, which are published as well."""

    history: frozenset[str]
    full: frozenset[str]

    def keeps(self, kind: str, klass: str) -> bool:
        """Whether sums are kept. Of a broadcast always."""
        return kind == "broadcast" or klass not in self.history

    def publishes(self, note: Note) -> bool:
        """Whether other programs get the sums. Of a broadcast always."""
        return note.kind == "broadcast" or note.klass in self.full


EVERYTHING: Final = Modes(frozenset(), frozenset())


def modes_of(classes: Mapping[str, ReportedClass]) -> Modes:
    """Of the configuration."""
    return Modes(*(frozenset(name for name, each in classes.items() if each.report == mode) for mode in Modes._fields))
