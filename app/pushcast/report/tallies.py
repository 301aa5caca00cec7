"""What a batch of records says of minutes and of the service level, counted first and told in one go. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pushcast.model.own import CANARY_ID
from pushcast.model.words import Outcome, Source
from pushcast.report import slo
from pushcast.report.minutes import MinuteChanges
from pushcast.report.notes import add
from pushcast.report.rows import MINUTE_MS, Delivery
from pushcast.report.sketch import bucket_name
from pushcast.report.slo import Seen
from pushcast.wire.receipt_reader import ReadReceipt, Section

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

    def add(self, receipt: ReadReceipt) -> None:
        """It counts."""
        if receipt.dry_run or receipt.notification_id.startswith(CANARY_ID):
            return
        due_at, section = receipt.due_at, receipt.section
        key = due_at // MINUTE_MS, receipt.app, id(section), receipt.source == _WALK
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = section, []
        group[1].append((due_at, receipt.ended_at))

    def take_back(self, receipt: ReadReceipt, before: Delivery) -> None:
        """What counted before no longer does: a receipt of the same delivery takes its place."""
        if is_told(receipt.dry_run, receipt.notification_id):
            self._back.append((receipt, before))

    def tell(self, minutes: MinuteChanges, seen: Seen) -> None:
        """To minutes and service level, in which broadcasts do not count."""
        for (minute, app, _, is_walk), (section, times) in self._groups.items():
            sums = minutes.of(minute * MINUTE_MS, app or "", section.klass, section.platform or "", section.lane)
            add(sums.ended, section.outcome, len(times))
            if section.outcome == _ACCEPTED:
                for bucket, count in Counter(bucket_name(ended_at - due_at) for due_at, ended_at in times).items():
                    add(sums.latency, bucket, count)
            if not is_walk:
                seen.append(slo.ClassEnded(section.klass, section.lane, section.outcome, 1, times))
        for receipt, before in self._back:
            section = receipt.section
            sums = minutes.of(before.due_at, receipt.app or "", section.klass, before.platform or "", section.lane)
            add(sums.ended, before.outcome, -1)
            if before.outcome == _ACCEPTED:
                add(sums.latency, bucket_name(before.ended_at - before.due_at), -1)
            if receipt.source != _WALK:
                times = [(before.due_at, before.ended_at)]
                seen.append(slo.ClassEnded(section.klass, section.lane, before.outcome, -1, times))


class PlannedTally:
    """Deliveries that were planned, by minute and class."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[int, tuple[str, str, str], str], int] = {}
        self._spans: dict[tuple[str, int, int], int] = {}

    def add(self, what: tuple[str, str, str], due_at: int, platforms: Mapping[str, int], other: int, sign: int) -> int:
        """So many more, or fewer with sign -1. `what`: lane, app and class. Returns how many more."""
        minute, counts, more = due_at // MINUTE_MS, self._minutes, sign * other
        for platform, count in platforms.items():
            key = minute, what, platform
            counts[key] = counts.get(key, 0) + sign * count
            more += sign * count
        if other:
            key = minute, what, ""
            counts[key] = counts.get(key, 0) + sign * other
        return more

    def see(self, klass: str, due_at: int, timestamp_ms: int, count: int) -> None:
        """For the service level: Kafka's time of the record says whether it is history."""
        key = klass, due_at // slo.SPAN_MS, timestamp_ms
        self._spans[key] = self._spans.get(key, 0) + count

    def tell(self, minutes: MinuteChanges, seen: Seen) -> None:
        """To minutes and service level."""
        for (minute, (lane, app, klass), platform), count in self._minutes.items():
            minutes.of(minute * MINUTE_MS, app, klass, platform, lane).planned += count
        for (klass, span, timestamp_ms), count in self._spans.items():
            if count:
                seen.append(slo.ClassPlanned(klass, span * slo.SPAN_MS, timestamp_ms, count))
