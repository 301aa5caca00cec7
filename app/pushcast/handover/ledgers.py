"""The sender's ledger on Kafka: what `ledger` says, done for the partitions of one group."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import NamedTuple, cast

from confluent_kafka import Message

from pushcast.handover import standing
from pushcast.handover.claims import ClaimRefused, Claims, OutputEnds
from pushcast.handover.ledger import Ledger
from pushcast.handover.looking_back import CopiesOf, look_back
from pushcast.handover.passing_over import pass_over
from pushcast.handover.reading import Span, SpanReader, Spot
from pushcast.handover.standing import NOT_REFUSED, Refused
from pushcast.kafka.headers import headers_of
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import TP, Committed
from pushcast.stream.ports import PatientOutbox, PositionedOutbox
from pushcast.wire.headers import PROBE

logger = logging.getLogger(__name__)


class LedgerEnd(NamedTuple):
    """Deliveries of one send record that a record of an output ends."""

    send_offset: int
    delivery_ids: Iterable[bytes]


#: What a record ends, by its headers and value; None when it is another group's. Cheap for those. Raises InvalidInput
#: for a record that none of ours wrote.
Read = Callable[[Iterable[tuple[str, bytes | None]], bytes | None], LedgerEnd | None]


class Ledgers:
    """Skips, after a takeover, the targets that a predecessor brought to an end. It belongs to the event loop.

    A stage calls `take_over` in `assigned`, answers `commit_metadata` with `metadata`, and calls `begin` for each
    record, in offset order, before its first target leaves.
    """

    def __init__(self, outputs: Mapping[str, Read], *, outbox: PositionedOutbox, reader: SpanReader) -> None:
        """`outputs`: every topic that an outcome may be written to, in the partition of its send record."""
        self.counters: Counter[str] = Counter()  # takeovers, tail_records, unreadable, skipped
        self._outputs = dict(outputs)
        self._outbox = outbox
        self._reader = reader
        self._ledgers: dict[TP, Ledger] = {}
        self._started: set[TP] = set()

    async def take_over(self, work: Claims, committed: Mapping[TP, Committed]) -> None:
        """Returns when the outcomes of these partitions are known. May be called again after an error.

        The claim is a commit: it leaves positions to whoever comes next, and is refused to whoever is not the owner
        any more. Raises ClaimRefused, TailUnreadable, NewerSchema (which the transport tries again) and
        UnreadableMetadata.
        """
        self._started -= committed.keys()
        ours = [tp for tp in committed if tp in self._ledgers]
        ends = await self._reader.written([(topic, tp.partition) for tp in committed for topic in self._outputs])
        taken: dict[TP, Ledger] = {}
        for tp, at in committed.items():
            mine = {topic: ends[topic, tp.partition] for topic in self._outputs}
            taken[tp] = Ledger(tuple(self._outputs), standing.decode(at.metadata), at.offset or 0, mine)
        self._ledgers.update(taken)
        if not await work.commit_now(taken):
            raise ClaimRefused(f"Kafka refused the claim of {len(taken)} partitions")
        await self._written_before(ours)
        # What a predecessor had under way when it lost the partition may have landed until now. If its outcomes stand
        # behind a stranger's open transaction, they are waited for: their deliveries would be sent again.
        ends = await self._reader.written(ends)
        by_partition = {tp.partition: ledger for tp, ledger in taken.items()}
        spans: dict[Spot, Span] = {
            (topic, partition): (ledger.starts[topic], ends[topic, partition])
            for partition, ledger in by_partition.items()
            for topic in self._outputs
        }
        found = 0

        def fold(message: Message) -> None:
            nonlocal found
            headers = headers_of(message)
            try:
                ended = self._outputs[cast(str, message.topic())](headers, message.value())
            except InvalidInput as error:
                pass_over(message, error, self.counters)
                return
            if ended is not None:
                found += 1
                ledger = by_partition[cast(int, message.partition())]
                for delivery_id in ended.delivery_ids:
                    ledger.fold(ended.send_offset, delivery_id)

        await self._reader.read(spans, fold)
        for (topic, partition), end in ends.items():
            by_partition[partition].ended(topic, end)
        for ledger in taken.values():
            ledger.start()
        self._started |= taken.keys()
        self.counters["takeovers"] += len(taken)
        self.counters["tail_records"] += found
        logger.info(
            "%d partitions taken over; of %d records in their outputs' tails %d are this group's, and %d deliveries "
            "have an outcome already",
            len(taken),
            sum(max(0, end - start) for start, end in spans.values()),
            found,
            sum(map(len, taken.values())),
        )

    async def _written_before(self, ours: Sequence[TP]) -> None:
        """Returns when the outcomes are in the logs that this process wrote for partitions which it had before.

        A group's coordinator that was away forgets its members, and gives them their partitions anew, while their
        outcomes wait for leaders: without this all of them would be sent again. A marker behind the outcomes of each
        place proves that they are there. Where Kafka refuses outcomes nothing is sent anyhow (`send.proof`).
        """
        if not ours:
            return
        await self._outbox.room()
        barrier = self._outbox.barrier()
        for tp in ours:
            refused = self._outbox.refused_topics(tp.partition) if isinstance(self._outbox, PatientOutbox) else ()
            for topic in self._outputs:
                if topic not in refused:
                    self._outbox.put(barrier, topic, tp.partition, None, None, [(PROBE, b"1")])
        await barrier.wait()

    def begin(self, tp: TP, offset: int) -> Set[bytes]:
        """Notes the positions for this record; returns the delivery ids that must not be sent again."""
        ledger = self._ledgers[tp]
        self._look_at_ends(tp, ledger)
        ledger.note(offset)
        have = ledger.take(offset)
        self.counters["skipped"] += len(have)
        return have

    def metadata(
        self, tp: TP, offset: int, origins: Mapping[str, int] | None = None, refused: Refused = NOT_REFUSED
    ) -> str:
        """What the commit of `offset` carries; `origins` are the fences below it, `refused` outputs of this partition
        that Kafka does not take now."""
        ledger = self._ledgers[tp]
        if tp in self._started:
            self._look_at_ends(tp, ledger)
        return standing.encode(ledger.standing(offset, origins or {})._replace(refused=refused))

    async def look_back(self, committed: Mapping[TP, Committed], copies_of: CopiesOf) -> None:
        """Reads the last records before these offsets, of which there may be copies. Raises TailUnreadable."""
        await look_back(self._reader, committed, copies_of)

    async def refresh(self, work: OutputEnds) -> None:
        """Looks up how far others have written the outputs by now, so that no new owner has to read that.

        Raises OSError, TimeoutError among them.
        """
        started = {tp: self._ledgers[tp] for tp in work.partitions() if tp in self._started}
        ends = await work.ends({TP(topic, tp.partition) for tp in started for topic in self._outputs})
        for tp, ledger in started.items():
            for topic in self._outputs:
                ledger.ended(topic, ends[TP(topic, tp.partition)])

    def _look_at_ends(self, tp: TP, ledger: Ledger) -> None:
        for topic in self._outputs:
            end = self._outbox.acked_end(topic, tp.partition)
            if end is not None:
                ledger.ended(topic, end)
