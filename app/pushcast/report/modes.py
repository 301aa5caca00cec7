"""What is kept of which class, and what is published to `push.report.v1`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from pushcast.report.notes import Kind


class ReportedClass(Protocol):
    """`config.settings.Class`."""

    @property
    def report(self) -> str | None: ...


class Modes(NamedTuple):
    """Classes by mode. `totals`: minutes alone. `history`: deliveries of users, too. `full`: sums of notes as well, and
    they are published. Without a mode a class has sums that are not published."""

    totals: frozenset[str] = frozenset()
    history: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()

    @property
    def unsummed(self) -> frozenset[str]:
        """Classes whose notifications have no sums. Broadcasts always have."""
        return self.history | self.totals

    def publishes(self, kind: Kind, klass: str) -> bool:
        """Whether other programs get the sums. Of a broadcast always."""
        return klass in self.full or kind == "broadcast"


EVERYTHING: Final = Modes()


def modes_of(classes: Mapping[str, ReportedClass]) -> Modes:
    """Of the configuration."""
    return Modes(*(frozenset(name for name, each in classes.items() if each.report == mode) for mode in Modes._fields))
