"""The answer of `why` for programs: a word, and because of what. Pure; `audit.answer` has the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pushcast.audit.answer import GroupProgress, HeldPart
from pushcast.audit.case import DEAD, Case, Wait
from pushcast.model.words import Outcome, Reason
from pushcast.wire import topics
from pushcast.wire.times import rfc3339

ACCEPTED: Final = "accepted_by_provider"
WAITING: Final = "waiting"
NOT_PLANNED: Final = "not_planned"
NOT_SENT: Final = "not_sent"
DEAD_LETTER: Final = "dead_letter"
UNKNOWN: Final = "unknown"
#: What a wait is because of: its group has not come so far; until a time; kept aside for a reason; held by the keeper
#: for a reason.
LAG: Final = "lag"
RETRY: Final = "retry"
PARKED: Final = "parked:"
HELD: Final = "held:"


class WhyVerdict(NamedTuple):
    """`answer`: accepted_by_provider, an outcome of receipts, waiting, not_planned, not_sent, dead_letter, unknown."""

    answer: str
    because: str | None = None
    until_ms: int = 0  # when a retry, or what is held, is due
    record: str | None = None  # TOPIC/PARTITION/OFFSET of a dead letter

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `until` and `record` only where there is one."""
        found: dict[str, Any] = {"answer": self.answer, "because": self.because}
        if self.until_ms:
            found["until"] = rfc3339(self.until_ms)
        return found if self.record is None else found | {"record": self.record}


def verdict(case: Case, progress: GroupProgress, held: Sequence[HeldPart] = ()) -> WhyVerdict:
    """Of several deliveries: one that was accepted, else one that waits, else the last that ended."""
    if case.receipts or case.planned_here:
        return _of_deliveries(case, held)
    if case.dead:
        places = [each for each in case.evidence if each.topic in DEAD]
        record = f"{places[-1].topic}/{places[-1].partition}/{places[-1].offset}" if places else None
        return WhyVerdict(DEAD_LETTER, case.dead[-1][0], record=record)
    if case.events:
        lane, offset = max(case.events, key=lambda event: event[1])
        read = offset < progress.committed.get(topics.notification(lane), 0)
        return WhyVerdict(UNKNOWN) if read else WhyVerdict(WAITING, LAG)
    return WhyVerdict(UNKNOWN)


def _of_deliveries(case: Case, held: Sequence[HeldPart]) -> WhyVerdict:
    ended = sorted(case.receipts.values(), key=lambda receipt: int(receipt["ended_at"]))
    if any(receipt["outcome"] == Outcome.ACCEPTED for receipt in ended):
        return WhyVerdict(ACCEPTED)
    for delivery, wait in case.waits.items():
        if delivery not in case.receipts:
            return _of_wait(wait)
    if held:
        return WhyVerdict(WAITING, HELD + held[0].why, held[0].due_ms)
    total = sum(count for _, count, _ in case.planned_here.values())
    reasons = sorted(reason for _, _, reason in case.planned_here.values() if reason)
    if ended and ended[-1]["device"] is not None:
        return WhyVerdict(ended[-1]["outcome"], ended[-1]["reason"])
    if case.suspended and (case.device is not None or not total):
        return WhyVerdict(NOT_SENT, "device_suspended")
    if ended:  # by the planner, for the user as a whole
        last = ended[-1]
        return WhyVerdict(NOT_PLANNED if last["reason"] == Reason.NO_DEVICES else last["outcome"], last["reason"])
    return WhyVerdict(WAITING, LAG) if total else WhyVerdict(NOT_PLANNED, reasons[0] if reasons else None)


def _of_wait(wait: Wait) -> WhyVerdict:
    if wait.topic == topics.PARKED:
        return WhyVerdict(WAITING, PARKED + wait.why)
    return WhyVerdict(WAITING, RETRY, wait.due_ms) if wait.due_ms else WhyVerdict(WAITING, LAG)
