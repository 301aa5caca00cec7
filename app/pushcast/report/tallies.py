"""What a batch of records says of minutes and of the service level, counted first and told in one go. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Outcome, Source
from pushcast.report import slo
from pushcast.report.minutes import MinuteChanges
from pushcast.report.notes import add
from pushcast.report.rows import MINUTE_MS, Delivery, Plan
from pushcast.report.sketch import bucket_name
from pushcast.report.slo import Seen
from pushcast.wire.answers.receipt_reader import ReadReceipt, Section
from pushcast.wire.answers.receipts import PlannedFacts

_WALK: Final = int(Source.WALK)
_ACCEPTED: Final = str(Outcome.ACCEPTED)


def is_told(dry_run: bool, note_id: str) -> bool:
    """Neither dry runs nor canaries count."""
    return not dry_run and not note_id.startswith(CANARY_ID)


class EndedTally:
    """Deliveries that have ended, by minute and by what they have in common."""

    def __init__(self) -> None:
        # (minute, app, number of the section, whether a walk planned it); the group holds the section, so that no
        # other one has its number meanwhile
        self._groups: dict[tuple[int, str | None, int, bool], tuple[Section, slo.Times]] = {}
        self._back: list[tuple[ReadReceipt, Delivery]] = []

    def times_of(self, minute: int, app: str | None, section: Section, is_walk: bool) -> slo.Times:
        """Of deliveries that count, due in this minute: to be added to."""
        key = minute, app, id(section), is_walk
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = section, []
        return group[1]

    def take_back(self, receipt: ReadReceipt, before: Delivery) -> None:
        """What counted before no longer does: a receipt of the same delivery takes its place."""
        if is_told(receipt.dry_run, receipt.notification_id):
            self._back.append((receipt, before))

    def tell(self, minutes: MinuteChanges, seen: Seen) -> None:
        """To minutes and service level, in which broadcasts do not count."""
        for (minute, app, _, is_walk), (section, times) in self._groups.items():
            if not times:
                continue
            sums = minutes.of(minute * MINUTE_MS, app or "", section.klass, section.platform or "", section.lane)
            add(sums.ended, section.outcome, len(times))
            sums.open -= 0 if is_walk else len(times)
            if section.outcome == _ACCEPTED:
                for bucket, count in Counter([bucket_name(ended_at - due_at) for due_at, ended_at in times]).items():
                    add(sums.latency, bucket, count)
            if not is_walk:
                seen.append(slo.ClassEnded(app or "", section.klass, section.lane, section.outcome, 1, times))
        for receipt, before in self._back:
            section = receipt.section
            sums = minutes.of(before.due_at, receipt.app or "", section.klass, before.platform or "", section.lane)
            add(sums.ended, before.outcome, -1)
            sums.open += receipt.source != _WALK
            if before.outcome == _ACCEPTED:
                add(sums.latency, bucket_name(before.ended_at - before.due_at), -1)
            if receipt.source != _WALK:
                times = [(before.due_at, before.ended_at)]
                seen.append(slo.ClassEnded(receipt.app or "", section.klass, section.lane, before.outcome, -1, times))


class DueTally:
    """Deliveries of one class that are due in one minute, by platform."""

    __slots__ = ("counts", "deliveries", "expires_at")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.deliveries = 0
        self.expires_at = 0  # the last of them

    def add(self, plan: Plan, rows: int) -> None:
        """So many planned rows count like this; below zero: so many no longer do."""
        counts = self.counts
        for platform, count in plan.platforms.items():
            counts[platform] = counts.get(platform, 0) + rows * count
            self.deliveries += rows * count
        if plan.other:
            counts[""] = counts.get("", 0) + rows * plan.other
            self.deliveries += rows * plan.other


class PlannedTally:
    """Deliveries that were planned, by lane, app, class and due time."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, str, str, int, int | None], DueTally] = {}

    def of(self, lane: str, facts: PlannedFacts, timestamp_ms: int | None) -> DueTally:
        """To be added to. `timestamp_ms`: Kafka's time of the record, by which the service level knows history; None:
        nothing for it."""
        due_at = facts.due_at or facts.created_at
        key = lane, facts.app, facts.klass, due_at // slo.SPAN_MS, timestamp_ms  # a minute is six spans
        found = self._due.get(key)
        if found is None:
            found = self._due[key] = DueTally()
        if facts.expires_at > found.expires_at:
            found.expires_at = facts.expires_at
        return found

    def tell(self, minutes: MinuteChanges, seen: Seen) -> None:
        """To minutes and service level."""
        for (lane, app, klass, span, timestamp_ms), due in self._due.items():
            for platform, count in due.counts.items():
                sums = minutes.of(span * slo.SPAN_MS, app, klass, platform, lane)
                sums.planned += count
                if klass:  # not of a walk, and not of the first version of the schema, which says no expiry
                    sums.open += count
                    sums.expires_at = max(sums.expires_at, due.expires_at)
            if due.deliveries and timestamp_ms is not None:
                seen.append(slo.ClassPlanned(app, klass, span * slo.SPAN_MS, timestamp_ms, due.deliveries))
