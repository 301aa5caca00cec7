"""Records that cannot be handled where they are: sent on to their own partition, or to the dead letters.

Each ends somewhere: a record that Kafka refuses to take on becomes a dead letter, and a dead letter that Kafka
refuses leaves its error headers alone, which say where the original lies.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.register.ports import Counters
from pushcast.stream.batch import Record
from pushcast.stream.errors import RecordRefused
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire.dead_letters import PUSH, dead_letter
from pushcast.wire.headers import FORWARDED

STAGE = "register"
#: Present on a dead letter whose key, value and own headers Kafka would not take: their size in bytes.
STRIPPED = PUSH + "stripped-bytes"

logger = logging.getLogger(__name__)


class Detour(NamedTuple):
    """A record with where it goes instead: a partition of its own topic, or the dead letters."""

    record: Record
    to: int | InvalidInput


class Detours:
    """Sends records away and waits until Kafka has them."""

    def __init__(self, outbox: Outbox, counters: Counters) -> None:
        self._outbox = outbox
        self._counters = counters

    async def send(self, detours: list[Detour]) -> None:
        """Returns when each record is acknowledged at its new place, or is reported as lost to the log and a counter.

        Raises only what no retry mends (OutboxFailed).
        """
        while detours:
            pending = [(detour, self._put(detour)) for detour in detours]
            detours = []
            for detour, barrier in pending:
                try:
                    await barrier.wait()
                except RecordRefused as refusal:
                    detours += await self._refused(detour, refusal)

    def _put(self, detour: Detour) -> Barrier:
        record, to = detour
        barrier = self._outbox.barrier()
        if isinstance(to, InvalidInput):
            letter = dead_letter(record, to, stage=STAGE)
            self._counters["dead_letters", to.reason] += 1
            self._outbox.put(barrier, *letter)
        else:
            self._counters["forwarded", record.topic] += 1
            self._outbox.put(
                barrier,
                record.topic,
                to,
                record.value,
                key=record.key,
                headers=[*record.headers, (FORWARDED, b"%d" % record.partition)],
                timestamp_ms=record.timestamp,
            )
        return barrier

    async def _refused(self, detour: Detour, refusal: RecordRefused) -> list[Detour]:
        record, to = detour
        if not isinstance(to, InvalidInput):
            error = InvalidInput(
                Reason.TOO_LARGE,
                f"the record belongs to partition {to} and is too large to be sent there with one more header: "
                f"{refusal.size_bytes} bytes",
            )
            return [Detour(record, error)]
        letter = dead_letter(record, to, stage=STAGE)
        added = letter.headers[len(record.headers or ()) :]
        barrier = self._outbox.barrier()
        headers = [*added, (STRIPPED, b"%d" % refusal.size_bytes)]
        self._outbox.put(barrier, letter.topic, letter.partition, None, headers=headers)
        try:
            await barrier.wait()
        except RecordRefused as second:
            # Not again: a topic that takes neither would stop the partition for ever.
            self._counters["dead_letters_lost", second.reason] += 1
            logger.error(  # noqa: TRY400 - the traceback adds nothing
                "dead letter lost: %s[%d]@%d (%s): %s", record.topic, record.partition, record.offset, to.reason, second
            )
        return []
