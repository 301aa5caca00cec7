"""What POLL writes: tickets that wait on, tokens that are no more, dead letters; and what it counts and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import structlog

from pushcast.model.clock import Clock
from pushcast.model.words import Platform, Reason
from pushcast.poll.decide import after_answer, postponed_until
from pushcast.poll.figures import NO_RECEIPT, PollCounters
from pushcast.poll.records import AskedTickets
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.stream.batch import Record
from pushcast.stream.ports import Barrier, Outbox
from pushcast.stream.receipts import DeadToken, report_token
from pushcast.wire import topics
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.retries import DUE_AT
from pushcast.wire.sending.tickets import TicketBatch, encode_tickets

log = structlog.get_logger(__name__)

LOG_INTERVAL_SECONDS: Final = 60.0
_OK_STATUS: Final = 200  # of an answer that holds receipts


class PollOutputs:
    """Of one app on one platform."""

    def __init__(
        self,
        app: str,
        platform: Platform,
        outbox: Outbox,
        clock: Clock,
        first_seconds: float,
        figures: PollCounters,
        schema_generation: int = NEWEST_GENERATION,
    ) -> None:
        self._generation = schema_generation
        self._app = app
        self._platform = platform
        self._topic = topics.ticket(platform)
        self._outbox = outbox
        self._clock = clock
        self._first_seconds = first_seconds
        self._figures = figures
        self._unlogged: Counter[str] = Counter()
        self._log_at = 0.0  # monotonic

    def again(self, barrier: Barrier, record: Record, value: bytes | None, due_at: int) -> None:
        """To the end of its partition. `due_at` in milliseconds since the epoch."""
        headers = [header for header in record.headers if header[0] != DUE_AT]
        headers.append((DUE_AT, str(due_at).encode()))
        self._outbox.put(barrier, self._topic, record.partition, value, record.key, headers)

    def carried(self, barrier: Barrier, record: Record) -> None:
        """To the end of its partition, as it is."""
        self._outbox.put(barrier, self._topic, record.partition, record.value, record.key, list(record.headers))

    def postponed(self, barrier: Barrier, asked: AskedTickets, seconds: float) -> None:
        """Asked about again after so long, unless the receipts are gone by then."""
        due_at = postponed_until(asked.tickets, seconds, self._clock.now_ms())
        if due_at is None:
            self.given_up(asked.tickets, NO_RECEIPT)
        else:
            self.again(barrier, asked.due.record, asked.due.record.value, due_at)

    def answered(self, barrier: Barrier, asked: AskedTickets, verdicts: Mapping[str, Verdict]) -> None:
        """`verdicts` by ticket id."""
        now_ms = self._clock.now_ms()
        record, tickets = asked.due.record, asked.tickets
        settled, pending, due_at, silent = after_answer(tickets, verdicts, now_ms, self._first_seconds)
        for index, verdict in settled:
            reason = verdict.reason or ""
            self._figures.receipts[self._app, self._platform, verdict.disposition, reason] += 1
            if verdict.disposition is Disposition.INVALID:
                self._token_invalid(barrier, record.partition, tickets, index, verdict, now_ms)
            elif verdict.disposition is not Disposition.ACCEPTED:
                self._unlogged[reason] += 1
        if pending is not None:
            self.again(barrier, record, encode_tickets(pending, self._generation), due_at)
        if silent:
            self._count_unknown(silent, NO_RECEIPT)
        self._log()

    def given_up(self, tickets: TicketBatch, reason: str) -> None:
        """Nobody will learn what became of these; they stay accepted."""
        self._count_unknown(len(tickets), reason)
        self._log()

    def _token_invalid(
        self, barrier: Barrier, partition: int, tickets: TicketBatch, index: int, verdict: Verdict, now_ms: int
    ) -> None:
        reason = verdict.reason or str(Reason.DEVICE_UNREGISTERED)
        report_token(
            self._outbox,
            barrier,
            partition,
            tickets,
            index,
            app=self._app,
            platform=self._platform,
            dead=DeadToken(reason, _OK_STATUS, verdict.invalid_since, tickets.sent_at, now_ms),
        )

    def _count_unknown(self, count: int, reason: str) -> None:
        self._figures.receipts[self._app, self._platform, Disposition.UNKNOWN, reason] += count
        self._unlogged[reason] += count

    def _log(self) -> None:
        """One line a minute: the pushes were accepted, so nothing else in the log tells that they did not arrive."""
        now = self._clock.monotonic_seconds()
        if self._unlogged and now >= self._log_at:
            log.warning("pushes_failed_after_their_ticket", app=self._app, platform=self._platform, **self._unlogged)
            self._unlogged.clear()
            self._log_at = now + LOG_INTERVAL_SECONDS
