"""Whether quiet hours leave a notification alone: the common case, found in one look per device."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final, NamedTuple

from pushcast.model.preferences import NO_WISHES
from pushcast.model.quiet import Quiet, QuietRule, QuietTerms
from pushcast.model.user import QuietHours
from pushcast.model.zones import name_of

#: Of apps, zones and policies; beyond them all are found again.
MAX_KNOWN: Final = 4_096


class CalmSpan(NamedTuple):
    """Between two quiet hours, in milliseconds since the epoch: [begins, ends). `terms`: by which later tries are
    judged; None: by none."""

    begins: int
    ends: int
    terms: QuietTerms | None


class CalmTimes:
    """What it says depends on its arguments alone; it remembers answers, bounded."""

    def __init__(self, rule: QuietRule) -> None:
        self._rule = rule
        self._known: dict[tuple[str | tuple[QuietHours, ...], tzinfo, Quiet], CalmSpan] = {}

    def span(
        self, app: str, zone: tzinfo, quiet: Quiet, at_ms: int, chosen: tuple[QuietHours, ...] = ()
    ) -> CalmSpan | None:
        """The time between quiet hours that this instant lies in; None: some users have quiet hours then. `chosen`: by
        the user; else they are the app's."""
        key = chosen or app, zone, quiet
        known = self._known.get(key)
        if known is not None and known.begins <= at_ms < known.ends:
            return known
        windows = chosen or self._rule.windows(NO_WISHES, app)
        ends = self._rule.calm_until(windows, zone, at_ms)
        if ends is None:
            return None
        terms = QuietTerms(quiet, name_of(zone), windows) if windows and quiet is not Quiet.PASSIVE else None
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        found = self._known[key] = CalmSpan(at_ms, ends, terms)
        return found
