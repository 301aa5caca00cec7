"""What a cancel has stopped, and what had left already: recomputed from the books each time. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from pushcast.audit.case import Case
from pushcast.model.words import Outcome, Source
from pushcast.wire.answers.receipts import Planned, takes_place

#: Outcomes that only a provider's answer, or the lack of one, can give.
_OF_PROVIDERS: Final = frozenset({Outcome.ACCEPTED, Outcome.INVALID, Outcome.DEAD})

#: Of a planned row: lane, source, partition, offset, notification.
_Account = tuple[str, int, int, int, str]


class CancelReport:
    """Deliveries of what was cancelled. Each ends as one of `cancelled`, `already_left` and `ended_before` (expired,
    without a device, refused), or is `open`. `waiting`: notifications that the keeper still holds."""

    def __init__(self) -> None:
        self._planned: dict[_Account, tuple[int, int, int, bool]] = {}  # run, deliveries, held, from the keeper
        self._ends: dict[str, tuple[int, str, str]] = {}  # by delivery: run, outcome, which of the three

    def row(self, account: _Account, run: int, deliveries: int, held: int) -> None:
        """A row of a planned record; of an account the last run counts."""
        known = self._planned.get(account)
        if known is None or run >= known[0]:
            self._planned[account] = run, deliveries, held, account[1] == Source.DUE

    def planned_of(self, campaign: str, partition: int, planned: Planned) -> None:
        """Those rows of a planned record that are of a campaign."""
        totals = zip(*planned.platforms.values(), planned.other, strict=True)
        columns = zip(planned.source_offset, planned.notification_id, totals, planned.facts, strict=True)
        for offset, note_id, counts, facts in columns:
            if facts.campaign == campaign:
                account = planned.lane, planned.source, partition, offset, note_id
                self.row(account, planned.run, sum(counts), facts.held)

    def receipt(self, receipt: dict[str, Any]) -> None:
        """A receipt of what was cancelled; of a delivery the last run counts."""
        known = self._ends.get(receipt["delivery_id"])
        if not takes_place(receipt["run"], None if known is None else known[:2]):
            return
        if receipt["outcome"] == Outcome.CANCELLED:
            word = "cancelled"
        elif receipt["outcome"] in _OF_PROVIDERS or receipt["attempts"]:
            word = "already_left"
        else:
            word = "ended_before"
        self._ends[receipt["delivery_id"]] = receipt["run"], receipt["outcome"], word

    def case(self, case: Case) -> None:
        """One notification of one user."""
        for source, (run, deliveries, _) in case.planned_here.items():
            self.row((source.lane, source.source, 0, source.offset, case.note), run, deliveries, 0)
        for receipt in case.receipts.values():
            self.receipt(receipt)

    def to_dict(self) -> dict[str, int]:
        """For JSON; planned = cancelled + already_left + ended_before + open."""
        rows = self._planned.values()
        planned = sum(deliveries for _, deliveries, _, _ in rows)
        words = Counter(word for _, _, word in self._ends.values())
        return {
            "planned": planned,
            "cancelled": words["cancelled"],
            "already_left": words["already_left"],
            "ended_before": words["ended_before"],
            "open": max(0, planned - words.total()),
            "waiting": max(0, sum(held for _, _, held, _ in rows) - sum(is_due for _, _, _, is_due in rows)),
        }
