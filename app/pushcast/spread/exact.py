"""How SPREAD takes a lane over: claim, fence in every partition, and the register read whole.

Unlike other stages it writes to all partitions from one, so it fences all of them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pushcast.handover import standing
from pushcast.handover.claims import ClaimRefused, Claims
from pushcast.handover.fences import Fences, author_of
from pushcast.handover.passing_over import pass_over
from pushcast.handover.reading import SpanReader
from pushcast.handover.standing import Standing
from pushcast.kafka.headers import headers_of
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.spread.register import Register
from pushcast.stream.batch import TP, Committed
from pushcast.stream.ports import Outbox
from pushcast.wire import headers as h
from pushcast.wire.events.orders import decode_order
from pushcast.wire.headers import Headers

logger = logging.getLogger(__name__)

#: Kafka's id of a topic.
LogIds = Callable[[str], Awaitable[str]]


def fence_rounds(partitions: int) -> tuple[range, range]:
    """Partitions by the round in which they are fenced, each awaited. Partition 0 comes last: an order that counts in
    another partition was acknowledged in partition 0 before, so it counts there too, and a successor learns of it."""
    return range(1, partitions), range(1)


class SpreadHandover:
    """One per stage; it belongs to the event loop. `walk_topics`: by intake topic, where its orders go."""

    def __init__(
        self,
        walk_topics: Mapping[str, str],
        partitions: int,
        *,
        outbox: Outbox,
        reader: SpanReader,
        clock: Clock,
        log_ids: LogIds,
    ) -> None:
        self._walk_topics = dict(walk_topics)
        self._partitions = partitions
        self._outbox = outbox
        self._reader = reader
        self._clock = clock
        self._log_ids = log_ids
        self.counters: Counter[str] = Counter()  # claims, unreadable
        self._epochs: dict[TP, int] = {}
        self._registers: dict[TP, Register] = {}

    async def take_over(self, work: Claims, committed: Mapping[TP, Committed]) -> None:
        """Returns when predecessors are fenced off and what they spread is known. May be called again after an error.

        Raises ClaimRefused and TailUnreadable (both are tried again by the transport), and UnreadableMetadata.
        """
        for tp, at in committed.items():
            await self._take_over(work, tp, standing.decode(at.metadata))

    async def _take_over(self, work: Claims, tp: TP, inherited: Standing) -> None:
        topic = self._walk_topics[tp.topic]
        register = Register(await self._log_ids(tp.topic))
        fences, known = Fences(), 0
        read_to = 0

        def fold(message: Any) -> None:
            nonlocal known
            try:
                author = author_of(headers_of(message))
            except InvalidInput:
                return  # nobody's: SPREAD writes both headers
            if author is None or author.origin != self._origin(tp):
                return
            known = max(known, author.epoch)
            value = message.value()
            if not fences.admit(author, message.offset()) or value is None:
                return
            try:
                register.fold(decode_order(value), value)
            except Exception as error:  # whatever decoding raises: no record keeps SPREAD from starting
                pass_over(message, error, self.counters)

        async def read() -> None:
            nonlocal read_to
            [end] = (await self._reader.ends([(topic, 0)])).values()
            await self._reader.read({(topic, 0): (read_to, end)}, fold)
            read_to = end

        await read()
        self._epochs[tp] = standing.next_epoch(max(inherited.epoch, known), self._clock.now_ms() // 1000)
        if not await work.commit_now([tp]):
            raise ClaimRefused(f"spread: Kafka refused the claim of {tp.topic}")
        for partitions in fence_rounds(self._partitions):
            await self._outbox.room()
            barrier = self._outbox.barrier()
            for partition in partitions:
                self._outbox.put(barrier, topic, partition, None, None, [*self.origin(tp), (h.FENCE, b"1")])
            await barrier.wait()
        await read()
        self._registers[tp] = register
        self.counters["claims"] += 1
        logger.info("spread took %s over at epoch %d", tp.topic, self._epochs[tp])

    def register(self, tp: TP) -> Register:
        """Raises KeyError for a lane that was not taken over."""
        return self._registers[tp]

    def taken(self, tp: TP) -> Register | None:
        """None for a lane that is not taken over yet."""
        return self._registers.get(tp)

    def let_go(self, partitions: Iterable[TP]) -> None:
        """Lanes that another process takes over."""
        for tp in partitions:
            self._registers.pop(tp, None)

    def origin(self, tp: TP) -> Headers:
        """Headers of every order of this lane while it is ours."""
        stage = self._origin(tp).rpartition("/")[0]
        return h.origin(stage, tp.partition, self._epochs[tp])

    def _origin(self, tp: TP) -> str:
        return f"spread-{tp.topic.split('.')[2]}/{tp.partition}"

    def metadata(self, tp: TP) -> str:
        """What a commit carries: the epoch. Where the register is, everybody knows."""
        epoch = self._epochs.get(tp, 0)
        return standing.encode(Standing(epoch, epoch))
