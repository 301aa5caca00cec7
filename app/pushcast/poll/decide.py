"""When tickets are asked about, and what follows from the answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.providers.expo.receipts import KEPT_SECONDS, LAST_ASK_SECONDS
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.wire.headers import Headers
from pushcast.wire.sending.retries import DUE_AT, number
from pushcast.wire.sending.tickets import TicketBatch

#: A record that is not due stays so long before it goes to the end again, however short the first wait is and whatever
#: the clocks of others say: moving it must not be all we do.
LEAST_STAY_SECONDS: Final = 5.0
_LAST_MS: Final = 2**53


class Answered(NamedTuple):
    """`settled`: index of each ticket that the provider spoke of, with its word. `pending`: those to ask about again at
    `due_at` (milliseconds since the epoch), None when none are left. `silent`: how many the provider never spoke of
    while it kept receipts; they stay accepted."""

    settled: list[tuple[int, Verdict]]
    pending: TicketBatch | None
    due_at: int
    silent: int


def wait_seconds(headers: Headers, timestamp_ms: int, now_ms: int, first_seconds: float) -> float:
    """How long a record stays in its queue: until it is due, and hardly longer than `first_seconds`.

    So no record of a partition waits for one before it that is due hours later: that one goes to the end meanwhile.
    `first_seconds` is also the wait of a record that names no time, as SEND writes it. The bounds hold for a clock that
    jumped too.
    """
    written_at = timestamp_ms if timestamp_ms > 0 else now_ms
    latest = written_at + round(first_seconds * 1000)
    due_at = _due_at(headers)
    if due_at is None:
        return _bounded((latest - now_ms) / 1000, first_seconds)
    until_due_seconds = (due_at - now_ms) / 1000
    stay_seconds = max((min(due_at, latest) - now_ms) / 1000, LEAST_STAY_SECONDS)
    return _bounded(min(stay_seconds, until_due_seconds), max(first_seconds, LEAST_STAY_SECONDS))


def early(headers: Headers, batch: TicketBatch, now_ms: int) -> bool:
    """Whether the record left its queue before it is due: it goes to the end again, until the receipts are gone."""
    due_at = _due_at(headers)
    return due_at is not None and now_ms < min(due_at, batch.sent_at + KEPT_SECONDS * 1000)


def after_answer(batch: TicketBatch, verdicts: Mapping[str, Verdict], now_ms: int, first_seconds: float) -> Answered:
    """`verdicts` by ticket id, of those receipts that were there.

    The others are asked about at twice the age each time, for the last time 23 hours after sending. Times that have
    passed are skipped.
    """
    ids = batch.ticket_id
    settled = [(index, verdicts[name]) for index, name in enumerate(ids) if name in verdicts]
    pending = [index for index, name in enumerate(ids) if name not in verdicts]
    if not pending:
        return Answered(settled, None, 0, 0)
    last_at = batch.sent_at + LAST_ASK_SECONDS * 1000
    if now_ms >= last_at:
        return Answered(settled, None, 0, len(pending))
    age_ms = max(now_ms - batch.sent_at, 1)
    step_ms = round(first_seconds * 1000)
    while step_ms <= age_ms:
        step_ms *= 2
    due_at = min(batch.sent_at + step_ms, last_at)
    return Answered(settled, batch.picked(pending, batch.asks + 1), due_at, 0)


def postponed_until(batch: TicketBatch, seconds: float, now_ms: int) -> int | None:
    """When to ask again after a refusal, in milliseconds since the epoch; None when the receipts are gone by then."""
    due_at = now_ms + round(seconds * 1000)
    return due_at if due_at < batch.sent_at + KEPT_SECONDS * 1000 else None


def divisible(refused: Verdict) -> bool:
    """Whether a question that was refused whole may be answered in parts: one id is wrong, or the answer too long."""
    return refused.disposition is Disposition.REJECTED or refused.reason == "answer_unreadable"


def _bounded(seconds: float, longest_seconds: float) -> float:
    return min(max(0.0, seconds), longest_seconds)


def _due_at(headers: Headers) -> int | None:
    """A header that is no time is as good as none."""
    try:
        return number(headers, DUE_AT, _LAST_MS)
    except InvalidInput:
        return None
