"""Positions that their log does not hold (any more): retention overtook them, or the log was cut or made anew.

aiokafka goes on at the beginning of the log and says nothing. What it leaves out is lost, and what lies below the old
position would be taken for seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from aiokafka.structs import TopicPartition
from faust.types import TP

#: Clocks of producers differ by less: of a cut log so much is handled again, of one made anew nothing is left out.
CLOCKS_DIFFER_MS = 60_000

#: Other partitions are not fetched meanwhile.
SETTLE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class KnownPartition(Protocol):
    """A partition with a worker."""

    @property
    def next_arrival(self) -> int:
        """Offset that would be handed over next."""

    @property
    def last_timestamp_ms(self) -> int | None:
        """Kafka timestamp of the last record that was fetched; None before the first."""


class Jump(NamedTuple):
    """From where to where a position went. `cut`: backwards, so that old offsets are used again."""

    position: int
    start: int
    cut: bool

    @property
    def lost_records(self) -> int:
        """Offsets that no record will ever come from; 0 where they are used again and nobody can say."""
        return 0 if self.cut else self.start - self.position


def decide(position: int, begin: int, end: int, written_since: int | None) -> Jump | None:
    """`begin`, `end`: of the log now. `written_since`: its first offset of records that are about as young as the last
    that was fetched, or younger; None when nothing was fetched yet. None when the position is in the log after all.

    A log that was cut goes on behind what was handled before; without a memory of it, from its beginning.
    """
    if position < begin:
        return Jump(position, begin, cut=False)
    if position > end:
        return Jump(position, begin if written_since is None else max(begin, written_since), cut=True)
    return None


class _Doubt(NamedTuple):
    position: int
    last_timestamp_ms: int | None
    is_committed: bool  # else it is that of a table's copy


class Jumps:
    """Finds such positions on the consumer's thread, and where to go on."""

    def __init__(self) -> None:
        self._suspected: dict[TP, _Doubt] = {}

    def suspect(
        self, assignment: Any, partitions: Mapping[TP, KnownPartition], tails: Mapping[TP, int] = MappingProxyType({})
    ) -> None:
        """Before each round of fetches. A partition with a worker has a position, unless its log refused it; so has one
        of `tails`: tables that are up to date, with the next offset to be applied."""
        for tp in tuple(partitions):
            known, at = partitions.get(tp), assignment.state_value(tp)
            if known is not None and at is not None and at.awaiting_reset and tp not in self._suspected:
                self._suspected[tp] = _Doubt(known.next_arrival, known.last_timestamp_ms, True)
        for tp, position in tails.items():
            at = assignment.state_value(tp)
            if at is not None and at.awaiting_reset and tp not in self._suspected:
                self._suspected[tp] = _Doubt(position, None, False)

    def doubt(self, tp: TP, position: int) -> None:
        """A new owner stands at a committed position that the log does not seem to hold."""
        self._suspected[tp] = _Doubt(position, None, True)

    def forget(self) -> None:
        """Another assignment: its positions come from what is committed, and are doubted anew."""
        self._suspected.clear()

    async def settle(self, consumer: Any) -> dict[TP, Jump]:
        """Where the suspected ones went on. Those that were cut stand at their new start, which is committed.

        Raises KafkaError and TimeoutError; what is suspected stays so.
        """
        if not self._suspected:
            return {}
        async with asyncio.timeout(SETTLE_SECONDS):
            return await self._settled(consumer)

    async def _settled(self, consumer: Any) -> dict[TP, Jump]:
        jumps: dict[TP, Jump] = {}
        for tp, (position, since_ms, is_committed) in tuple(self._suspected.items()):
            at = TopicPartition(tp.topic, tp.partition)
            begin, end = (await consumer.beginning_offsets([at]))[at], (await consumer.end_offsets([at]))[at]
            found = None
            if since_ms is not None:
                found = (await consumer.offsets_for_times({at: max(0, since_ms - CLOCKS_DIFFER_MS)}))[at]
                found = end if found is None else found.offset
            jump = decide(position, begin, end, found)
            if jump is not None:
                jumps[tp] = jump
                if jump.cut and is_committed:
                    await consumer.commit({at: jump.start})
            self._suspected.pop(tp, None)  # forgotten by now, when an assignment came between
        return jumps


class LogCut(Exception):
    """A log is shorter than what was read of it: it was cut, or made anew. The process starts again from there."""

    def __init__(self, tp: TP, jump: Jump) -> None:
        super().__init__(
            f"{tp.topic}[{tp.partition}] was read up to offset {jump.position} and is shorter now: "
            f"it was cut or made anew; committed is {jump.start}, from where the next start goes on"
        )


class TableLogCut(Exception):
    """The log of a table does not hold what was read of it. Its copy has rows that were never written, as far as others
    know, or lacks the end of some."""

    def __init__(self, tp: TP, jump: Jump) -> None:
        super().__init__(
            f"{tp.topic}[{tp.partition}] was read up to offset {jump.position} and goes on at {jump.start}: it was "
            "cut, deleted from or made anew; the next start makes the local copy of it anew"
        )


class TopicMadeAnew(Exception):
    """A topic has another id than at the start: its offsets belong to another log."""


def log_jump(tp: TP, jump: Jump) -> None:
    """Loudly, once."""
    logger.error(
        "%s[%d] goes on at offset %d instead of %d: retention deleted %d offsets that were not handled",
        tp.topic,
        tp.partition,
        jump.start,
        jump.position,
        jump.lost_records,
    )
