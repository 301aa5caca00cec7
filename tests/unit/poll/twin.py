"""POLL on a Kafka and a provider of the test's own: its acknowledgements, answers, timers and clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from aiokafka import ConsumerRecord

from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.words import Platform
from pushcast.poll.agent import PollStage
from pushcast.poll.figures import PollCounters
from pushcast.providers.expo.receipts import Polled
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.stream.batch import TP
from pushcast.stream.tracker import Record
from pushcast.wire import topics
from pushcast.wire.answers.receipts import TokenInvalid, decode_token_invalid
from pushcast.wire.sending.retries import DUE_AT
from pushcast.wire.sending.tickets import TicketBatch, decode_tickets, encode_tickets
from twins.stage import TimedStage
from unit.send.twin import T0, TwinOutbox

TOPIC = topics.ticket(Platform.EXPO)
FIRST_SECONDS = 900.0


def tickets(count: int, *, app: str = "news", first: int = 0, sent_at: int = T0) -> TicketBatch:
    batch = TicketBatch("expo", app, sent_at)
    for number in range(first, first + count):
        user, device = f"u{number}", f"d{number}"
        address = f"token-{number}".encode()
        batch.add(f"t{number}", user, device, token_hash(address), delivery_id("n", user, app, device))
    return batch


def record(
    offset: int,
    value: TicketBatch | bytes | None,
    *,
    partition: int = 3,
    key: bytes | None = None,
    headers: Any = (),
    timestamp: int = T0,
) -> Record:
    """As SEND writes it when the value is a batch."""
    data = encode_tickets(value) if isinstance(value, TicketBatch) else value
    key = value.app.encode() if isinstance(value, TicketBatch) and key is None else key
    sizes = [-1 if part is None else len(part) for part in (key, data)]
    return ConsumerRecord(TOPIC, partition, offset, timestamp, 0, key, data, None, sizes[0], sizes[1], tuple(headers))


class TwinSource:
    """Answers each question with what `script` says next, and then with `says` of each id; silent about others.

    `held`: questions wait until the test sets it.
    """

    def __init__(self, *script: Polled | Callable[[list[str]], Polled], says: dict[str, Verdict] | None = None) -> None:
        self.script = list(script)
        self.says = says or {}
        self.asked: list[list[str]] = []
        self.held: asyncio.Event | None = None

    async def receipts(self, ticket_ids: Sequence[str]) -> Polled:
        self.asked.append(list(ticket_ids))
        if self.held is not None:
            await self.held.wait()
        if self.script:
            answer = self.script.pop(0)
            return answer if isinstance(answer, Polled) else answer(list(ticket_ids))
        return Polled({name: self.says[name] for name in ticket_ids if name in self.says})


def refused(disposition: Disposition, reason: str, retry_after_seconds: float | None = None) -> Polled:
    return Polled({}, Verdict(disposition, reason, retry_after_seconds=retry_after_seconds))


OK = Verdict(Disposition.ACCEPTED, None)
DEAD = Verdict(Disposition.INVALID, "device_unregistered")


class Harness(TimedStage):
    """A stage on the twins. Time moves with `pass_time`, and while the stage itself waits for an answer's turn."""

    stage: PollStage

    def __init__(self, acks: bool = True, first_seconds: float = FIRST_SECONDS, **sources: TwinSource) -> None:
        super().__init__(T0)
        self.outbox = TwinOutbox(acks)
        self.figures = PollCounters()
        self.slept: list[float] = []
        self.stage = PollStage(
            platform=Platform.EXPO,
            sources=sources,
            outbox=self.outbox,
            clock=self.clock,
            first_seconds=first_seconds,
            random=Random(1),
            figures=self.figures,
            fatal=self.end_process,
            call_later=self.call_later,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def low(self, partition: int = 3) -> int:
        """The offset that Kafka would be told."""
        return self.trackers[TP(TOPIC, partition)].low

    def again(self) -> list[tuple[int, TicketBatch]]:
        """What went to the end of its partition: due time in milliseconds after T0, and the tickets."""
        found = self.outbox.of(TOPIC)
        return [(int(dict(each.headers)[DUE_AT] or 0) - T0, decode_tickets(each.value)) for each in found]

    def invalid(self) -> list[TokenInvalid]:
        return [decode_token_invalid(each.value or b"") for each in self.outbox.of(topics.TOKEN_INVALID)]
