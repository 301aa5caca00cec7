"""Claim, fence and own tail on Kafka: what `state` says, done."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, cast

from confluent_kafka import Message

from pushcast.handover import standing
from pushcast.handover.claims import ClaimRefused, Claims, OutputEnds
from pushcast.handover.fences import author_of
from pushcast.handover.looking_back import CopiesOf, look_back
from pushcast.handover.lost_metadata import floors_of, tell_gone
from pushcast.handover.passing_over import pass_over
from pushcast.handover.reading import Span, SpanReader, Spot
from pushcast.handover.standing import NOT_REFUSED, Refused
from pushcast.handover.state import Outset, Takeover
from pushcast.handover.tail import OwnTail, Place
from pushcast.kafka.headers import headers_of
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import TP, Committed
from pushcast.wire import headers as h
from pushcast.wire.devices import row_fences

if TYPE_CHECKING:
    from pushcast.stream.ports import PositionedOutbox

logger = logging.getLogger(__name__)

#: (source record, item) pairs of one output record, by its headers and value.
Items = Callable[[h.Headers, bytes], Iterable[tuple[Place, bytes]]]
_UNKEYED: Mapping[bytes | None, bytes | None] = {None: None}
#: Makes the state of a partition.
Make = Callable[[Outset], Takeover]
#: Source records that one planned record closes.
Closed = Callable[[bytes], Iterable[Place]]


class Handover:
    """Hands the source partitions of one stage over exactly. One per stage; it belongs to the event loop.

    A stage calls `take_over` in `assigned`, answers `commit_metadata` with `metadata`, writes every record to `outputs`
    and `planned` with `origin` as headers, calls `note` before it first handles records, and leaves out what
    `tail(tp)` holds. It writes the planned record of a source offset when all other outputs of it are acknowledged.
    A stage without planned records goes by the items alone: a source offset is done when all that it becomes is there.
    """

    def __init__(
        self,
        stage: str,
        outputs: Mapping[str, Items],
        planned: str | None = None,
        closed: Closed = lambda value: (),
        *,
        outbox: PositionedOutbox,
        reader: SpanReader,
        clock: Clock,
        sources: Mapping[str, str] | None = None,
        make: Make | None = None,
        tables: Set[str] = frozenset(),
    ) -> None:
        """`outputs`: topics and how to read what is there; `planned` is not among them when `offsets` reads it. The
        partition of every output is the source's. `sources`: for a stage of several source topics, what each is called
        in the origin: origins of two sources must differ, because offsets do not. `make`: makes the state of a
        partition. `tables`: compacted ones among the outputs, where a fence has a key."""
        self.stage = stage
        self.counters: Counter[str] = Counter()  # claims, tail_records, tail_void, unreadable
        self._items = dict(outputs)
        self._planned = planned
        self._closed = closed
        self._topics = tuple(outputs) if planned is None or planned in outputs else (*outputs, planned)
        self._make = make or Takeover
        self._tables = tables
        self._sources = dict(sources or {})
        self._outbox = outbox
        self._reader = reader
        self._clock = clock
        self._takeovers: dict[TP, Takeover] = {}

    async def take_over(self, work: Claims, committed: Mapping[TP, Committed]) -> None:
        """Returns when the partitions' predecessors are fenced off and their outputs are known.

        May be called again after an error. Raises ClaimRefused, TailUnreadable, NewerSchema (which the transport tries
        again) and UnreadableMetadata (which ends the process).
        """
        held = {tp: standing.decode(at.metadata) for tp, at in committed.items()}
        new = {(topic, tp.partition) for tp, at in held.items() for topic in self._topics if topic not in at.positions}
        ends = await self._reader.ends(new)
        # An offset without a claim was set by an operator. Without an offset nobody was here before, or it was deleted.
        unclaimed = {tp: committed[tp].offset for tp, at in held.items() if not at.epoch}
        # Every claim is fenced in `planned` first, so it has all of them.
        claimed_in = self._topics if self._planned is None else (self._planned,)
        floors = await floors_of(unclaimed, self._origin, claimed_in, self._reader) if unclaimed else {}
        gone = [tp for tp, offset in unclaimed.items() if offset is None and floors[tp]]
        self.counters["offsets_gone"] += len(gone)
        if gone:
            tell_gone(self.stage, gone)
        now_seconds = self._clock.now_ms() // 1000
        taken: dict[TP, Takeover] = {}
        for tp, at in held.items():
            mine = {topic: end for (topic, partition), end in ends.items() if partition == tp.partition}
            source = self._origin(tp), self._topics, self._planned, at, committed[tp].offset or 0
            taken[tp] = self._make(Outset(*source, mine, now_seconds, floors.get(tp, 0)))
        self._takeovers.update(taken)
        if not await work.commit_now(taken):
            raise ClaimRefused(f"{self.stage}: Kafka refused the claim of {len(taken)} partitions")
        await self._fence(taken)
        await self._read_tails(taken)
        for takeover in taken.values():
            takeover.start()
            self.counters["claims"] += 1
            self.counters["tail_void"] += takeover.tail.void

    def _origin(self, tp: TP) -> str:
        return f"{self._sources.get(tp.topic, self.stage)}/{tp.partition}"

    async def _fence(self, taken: Mapping[TP, Takeover]) -> None:
        rounds = [takeover.fence_rounds for takeover in taken.values()]
        for number in range(max(map(len, rounds), default=0)):
            await self._outbox.room()
            barrier = self._outbox.barrier()
            for tp, takeover in taken.items():
                headers = [*self.origin(tp), (h.FENCE, b"1")]
                for topic in takeover.fence_rounds[number]:
                    keyed = row_fences.records(takeover.origin, takeover.epoch) if topic in self._tables else _UNKEYED
                    for key, value in keyed.items():
                        self._outbox.put(barrier, topic, tp.partition, value, key, headers)
            await barrier.wait()
            for tp, takeover in taken.items():
                for topic in takeover.fence_rounds[number]:
                    end = self._outbox.acked_end(topic, tp.partition)
                    if end is None:
                        raise AssertionError(f"{topic}[{tp.partition}] has an acknowledged fence and no end")
                    takeover.fenced(topic, end)

    async def _read_tails(self, taken: Mapping[TP, Takeover]) -> None:
        by_origin = {takeover.origin: takeover for takeover in taken.values()}
        spans: dict[Spot, Span] = {}
        for tp, takeover in taken.items():
            for topic, end in takeover.fence_ends.items():
                first, last = spans.get((topic, tp.partition), (takeover.starts[topic], end))
                spans[topic, tp.partition] = min(first, takeover.starts[topic]), max(last, end)
        found = 0

        def fold(message: Message) -> None:
            nonlocal found
            headers = headers_of(message)
            try:
                author = author_of(headers)
            except InvalidInput:
                return  # nobody's: a stage of ours writes both headers
            takeover = None if author is None else by_origin.get(author.origin)
            if takeover is None:
                return
            topic, offset, value = cast(str, message.topic()), cast(int, message.offset()), message.value()
            # Spans of several sources are read together: what lies before this one's is judged already.
            if offset < takeover.starts[topic] or not takeover.tail.admit(topic, offset, author) or value is None:
                return
            found += 1
            try:
                if topic in self._items:
                    takeover.tail.add_items(topic, self._items[topic](headers, value))
                else:
                    takeover.tail.add_planned(self._closed(value))
            except Exception as error:  # whatever decoding raises: no record keeps a stage from starting
                pass_over(message, error, self.counters)

        await self._reader.read(spans, fold)
        self.counters["tail_records"] += found
        logger.info(
            "%s took over %d partitions; their tails of %d records hold %d of its own, with %d unfinished or "
            "uncommitted source offsets",
            self.stage,
            len(taken),
            sum(max(0, end - start) for start, end in spans.values()),
            found,
            sum(len(takeover.tail) for takeover in taken.values()),
        )

    async def look_back(self, committed: Mapping[TP, Committed], copies_of: CopiesOf) -> None:
        """Reads the last records before these offsets, of which there may be copies. Raises TailUnreadable."""
        await look_back(self._reader, committed, copies_of)

    async def refresh(self, work: OutputEnds) -> None:
        """Looks up how far others have written the outputs by now, so that no new owner has to read that.

        Raises OSError, TimeoutError among them.
        """
        mine = [(tp, self._takeovers[tp]) for tp in work.partitions() if tp in self._takeovers]
        started = {tp: takeover for tp, takeover in mine if takeover.started}
        ends = await work.ends({TP(topic, tp.partition) for tp in started for topic in self._topics})
        for tp, takeover in started.items():
            for topic in self._topics:
                takeover.ended(topic, ends[TP(topic, tp.partition)])

    def state(self, tp: TP) -> Takeover:
        """What `make` made. Raises KeyError for a partition that was not taken over."""
        return self._takeovers[tp]

    def tail(self, tp: TP) -> OwnTail:
        """What predecessors wrote. Raises KeyError for a partition that was not taken over."""
        return self._takeovers[tp].tail

    def origin(self, tp: TP) -> list[tuple[str, bytes | None]]:
        """Headers of every output of this partition while it is ours."""
        return h.origin(self._sources.get(tp.topic, self.stage), tp.partition, self._takeovers[tp].epoch)

    def begin(self, tp: TP, offset: int) -> set[bytes]:
        """`note` for one record; returns its items that predecessors or this process have put already."""
        self.note(tp, offset, offset)
        found = self._takeovers[tp].tail.take(offset)
        return set[bytes]().union(*found.values()) if found else set()

    def unseen_from(self, tp: TP) -> int:
        """No item of a source record at or above this offset is in the outputs of a predecessor."""
        return self._takeovers[tp].tail.highest + 1

    def note(self, tp: TP, first: int, last: int) -> None:
        """Source records `first` to `last` are about to be handled: before any of their outputs is put. About 2 µs."""
        takeover = self._takeovers[tp]
        self._look_at_ends(tp, takeover)
        takeover.note(first, last)

    def metadata(
        self, tp: TP, offset: int, origins: Mapping[str, int] | None = None, refused: Refused = NOT_REFUSED
    ) -> str:
        """What the commit of `offset` carries; `origins`: the fences of the source itself below it, if it has any;
        `refused`: outputs of this partition that Kafka does not take now."""
        takeover = self._takeovers[tp]
        if takeover.started:
            self._look_at_ends(tp, takeover)
        return standing.encode(takeover.standing(offset, origins)._replace(refused=refused))

    def _look_at_ends(self, tp: TP, takeover: Takeover) -> None:
        for topic in self._topics:
            end = self._outbox.acked_end(topic, tp.partition)
            if end is not None:
                takeover.ended(topic, end)
