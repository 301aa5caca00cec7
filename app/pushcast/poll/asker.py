"""One app's due tickets: questions to its provider, one at a time.

A provider that refuses or is away is asked a few times more, then left alone for a minute: what is due meanwhile goes
to the end of its partition, so that no other app's tickets wait behind it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

import structlog

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Platform, Reason
from pushcast.poll.belief import Belief
from pushcast.poll.decide import divisible, early
from pushcast.poll.figures import PollCounters
from pushcast.poll.outputs import PollOutputs
from pushcast.poll.records import AskedTickets, Due
from pushcast.providers.expo.receipts import IDS_PER_REQUEST, Polled, ReceiptSource
from pushcast.providers.port import Disposition
from pushcast.providers.suspicion import SuspicionLimits
from pushcast.providers.verdict import Verdict
from pushcast.stream.batch import TP
from pushcast.stream.edge import Edge
from pushcast.stream.ports import Barrier, Fatal, Outbox
from pushcast.stream.runner import Runner
from pushcast.wire import groups
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.tickets import decode_tickets

log = structlog.get_logger(__name__)

#: Between questions of one app. At 300 ids each that is 1,500 receipts a second: Expo takes 600 pushes a second.
INTERVAL_SECONDS: Final = 0.2
#: Questions before the provider is left alone, and for how long.
TRIES: Final = 3
FIRST_DELAY_SECONDS: Final = 1.0
MAX_DELAY_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 60.0
MAX_PAUSE_SECONDS: Final = 900.0
#: Of one question in parts: enough to find one bad id among a thousand.
MAX_PARTS: Final = 24
#: Records that are only moved, before the loop gets a turn and the outbox is asked for room.
RECORDS_PER_TURN: Final = 200

#: Refusals that asking again within seconds does not change.
_NOT_AT_ONCE: Final = (Disposition.CREDENTIAL, Disposition.REJECTED)

#: Completes records once the outputs under the barrier are acknowledged.
Finish = Callable[[Sequence[Due], Barrier], None]
Sleep = Callable[[float], Awaitable[None]]


class Asker:
    """Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        app: str,
        platform: Platform,
        source: ReceiptSource | None,
        *,
        outbox: Outbox,
        clock: Clock,
        random: Random,
        first_seconds: float,
        limits: SuspicionLimits,
        invalid_in_a_row: int,
        edge: Edge,
        bury: Callable[[Due, InvalidInput], None],
        figures: PollCounters,
        finish: Finish,
        fatal: Fatal,
        sleep: Sleep = asyncio.sleep,
        schema_generation: int = NEWEST_GENERATION,
    ) -> None:
        """`bury` completes a record that is a dead letter. Without a source tickets are given up: their app is not
        configured (any more)."""
        self._app = app
        self._platform = platform
        self._source = source
        self._outbox = outbox
        self._clock = clock
        self._random = random
        self._first_seconds = first_seconds
        self._edge = edge
        self._bury = bury
        self._figures = figures
        self._belief = Belief(app, platform, outbox, clock, limits, invalid_in_a_row)
        self._outputs = PollOutputs(app, platform, outbox, clock, first_seconds, figures, schema_generation)
        self._finish = finish
        self._sleep = sleep
        self._queue: deque[Due] = deque()
        self._question: list[AskedTickets] = []
        self._runner = Runner(f"{groups.poll(platform)}: receipts of {app!r}", self._wait, self._work, fatal)
        self._next_at = 0.0  # monotonic, as the next
        self._quiet_until = 0.0

    def __len__(self) -> int:
        """Records that are due and not finished."""
        return len(self._queue) + len(self._question)

    def add(self, due: Due) -> None:
        """Takes a record over; it is asked about when its turn comes."""
        self._queue.append(due)
        self._runner.wake()

    def drop(self) -> None:
        """Forgets records that are gone; a question that is about such alone is given up."""
        self._queue = deque(due for due in self._queue if not due.gone)
        if not self._queue and all(asked.due.gone for asked in self._question):
            self._runner.cancel()

    def _wait(self) -> float | None:
        return 0.0 if self._queue else None

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._outbox.room()
                barrier = self._outbox.barrier()
                moved: list[Due] = []
                self._question = self._gather(barrier, moved)
                self._finish(moved, barrier)
                if self._question:
                    await self._ask()
                    self._question = []
                await asyncio.sleep(0)
        finally:
            self._question = []

    def _gather(self, barrier: Barrier, moved: list[Due]) -> list[AskedTickets]:
        """The records of the next question. Those that nothing is asked about now are `moved`."""
        question: list[AskedTickets] = []
        ids = 0
        quiet_seconds = self._quiet_until - self._clock.monotonic_seconds()
        now_ms = self._clock.now_ms()
        while self._queue and len(moved) + len(question) < RECORDS_PER_TURN:
            due = self._queue[0]
            if not due.gone:
                asked = self._read(due)
                if asked is None:
                    pass
                elif early(due.record.headers, asked.tickets, now_ms):
                    self._outputs.carried(barrier, due.record)
                    moved.append(due)
                elif self._source is None:
                    self._outputs.given_up(asked.tickets, str(Reason.NOT_CONFIGURED))
                    moved.append(due)
                elif quiet_seconds > 0:
                    self._outputs.postponed(barrier, asked, max(quiet_seconds, self._first_seconds))
                    moved.append(due)
                elif question and ids + len(asked.tickets) > IDS_PER_REQUEST:
                    break
                else:
                    ids += len(asked.tickets)
                    question.append(asked)
            self._queue.popleft()
        return question

    def _read(self, due: Due) -> AskedTickets | None:
        """None for a record that is no tickets of this app: it is a dead letter. Raises Flooded when too many are."""
        tp = TP(due.record.topic, due.record.partition)
        try:
            tickets = decode_tickets(due.record.value)
            if tickets.platform != self._platform or (self._source is not None and tickets.app != self._app):
                raise InvalidInput(Reason.INVALID_FIELD, "key and topic are not those of app and platform", "app")
        except Exception as error:
            refusal = self._edge.refusal(due.record, error)
            self._edge.note(tp, 0, (refusal,))
            self._bury(due, refusal)
            return None
        self._edge.note(tp, 1)
        return AskedTickets(due, tickets)

    async def _ask(self) -> None:
        """Ends with every record of the question answered, put off, or gone."""
        tries = 0
        while True:
            alive = [asked for asked in self._question if not asked.due.gone]
            if not alive:
                return
            answer = await self._receipts([name for asked in alive for name in asked.tickets.ticket_id])
            refused = answer.refused
            if refused is None:
                await self._settle(alive, answer)
                return
            tries += 1
            if tries == TRIES or refused.disposition in _NOT_AT_ONCE:
                await self._leave_alone(alive, refused)
                return
            await self._sleep(self._delay_seconds(refused, tries))

    async def _settle(self, question: Sequence[AskedTickets], answer: Polled) -> None:
        await self._outbox.room()
        barrier = self._outbox.barrier()
        alive = [asked for asked in question if not asked.due.gone]
        answer = self._belief.believed(barrier, answer, [asked.tickets for asked in alive])
        for asked in alive:
            self._outputs.answered(barrier, asked, answer.verdicts)
        self._finish([asked.due for asked in alive], barrier)

    async def _leave_alone(self, question: Sequence[AskedTickets], refused: Verdict) -> None:
        seconds = min(max(refused.retry_after_seconds or 0.0, PAUSE_SECONDS), MAX_PAUSE_SECONDS)
        log.warning("receipts_refused", app=self._app, platform=self._platform, reason=refused.reason, seconds=seconds)
        self._quiet_until = self._clock.monotonic_seconds() + seconds
        await self._outbox.room()
        barrier = self._outbox.barrier()
        alive = [asked for asked in question if not asked.due.gone]
        for asked in alive:
            self._outputs.postponed(barrier, asked, max(seconds, self._first_seconds))
        self._finish([asked.due for asked in alive], barrier)

    async def _receipts(self, ids: list[str]) -> Polled:
        """One question; in halves when the provider takes it in parts only. An id that is refused alone is answered
        by that."""
        assert self._source is not None, "without a source nothing is asked"
        verdicts: dict[str, Verdict] = {}
        parts = deque([ids])
        questions = 0
        while parts:
            part = parts.popleft()
            await self._turn()
            polled = await self._source.receipts(part)
            questions += 1
            refused = polled.refused
            result = "answered" if refused is None else refused.reason or str(refused.disposition)
            self._figures.asked[self._app, self._platform, result] += 1
            if refused is None:
                verdicts |= polled.verdicts
            elif divisible(refused) and len(part) > 1 and questions < MAX_PARTS:
                middle = len(part) // 2
                parts.extend((part[:middle], part[middle:]))
            elif refused.disposition is Disposition.REJECTED and len(part) == 1:
                verdicts[part[0]] = refused
            else:
                return polled
        return Polled(verdicts)

    async def _turn(self) -> None:
        """Waits until a question may leave."""
        now = self._clock.monotonic_seconds()
        if now < self._next_at:
            await self._sleep(self._next_at - now)
        self._next_at = self._clock.monotonic_seconds() + INTERVAL_SECONDS

    def _delay_seconds(self, refused: Verdict, tries: int) -> float:
        """Doubling, with jitter of a half; not before the provider said, but never so long that others wait."""
        back_off = FIRST_DELAY_SECONDS * 2.0 ** (tries - 1) * (0.5 + self._random.random() / 2)
        return min(max(back_off, refused.retry_after_seconds or 0.0), MAX_DELAY_SECONDS)
