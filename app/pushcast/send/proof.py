"""Nothing is sent whose outcome could not be written: asked before the first delivery of a partition leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from pushcast.handover import standing
from pushcast.handover.standing import NOT_REFUSED, Refused
from pushcast.kafka.refusals import OutputPlace
from pushcast.model.words import Lane, Platform
from pushcast.stream.batch import TP, Committed
from pushcast.stream.ports import PatientOutbox
from pushcast.wire import topics

#: Places that would be refused now, and why.
Ask = Callable[[Iterable[str], Sequence[int]], Awaitable[Mapping[OutputPlace, str]]]


def outputs_of(platform: Platform, lane: Lane) -> tuple[str, ...]:
    """Every topic that an outcome of these senders may be written to. Their order does not matter to anybody."""
    return (
        topics.RECEIPT,
        topics.TOKEN_INVALID,
        topics.COUNTED,
        topics.PARKED,
        topics.RECALLABLE,
        *map(topics.retry, topics.RETRY_DELAY_SECONDS),
        *([topics.ticket(platform)] if platform in topics.TICKET_PLATFORMS else []),
        topics.dead_letter(topics.send(platform, lane)),
    )


class Proof:
    """Of one stage. `outputs`: topics that its outcomes may be written to, in the partition of their send record."""

    def __init__(self, outbox: PatientOutbox, outputs: Sequence[str], ask: Ask) -> None:
        self._outbox = outbox
        self._outputs = outputs
        self._ask = ask
        self._sent_before: dict[int, int] = {}  # the same of predecessors, by partition, while an output is refused

    async def take_over(self, committed: Mapping[TP, Committed]) -> None:
        """Asks the brokers what may be written, and doubts what a predecessor was refused. Writes nothing.

        Raises what `ask` raises when no broker answers; the transport tries again.
        """
        for (topic, partition), reason in (await self._ask(self._outputs, [tp.partition for tp in committed])).items():
            self._outbox.doubt(topic, partition, reason)
        known = set(self._outputs)
        for tp, at in committed.items():
            refused = standing.decode(at.metadata).refused
            self._sent_before[tp.partition] = max(refused.values(), default=0)
            for topic in refused:
                if topic in known:
                    self._outbox.doubt(topic, tp.partition, "refused to the process that had this partition before")

    def refused(self, partition: int, sent_to: int) -> Refused:
        """Outputs of this partition that are refused now, for its commit metadata. `sent_to`: the offset below which
        something may have left here."""
        topics_refused = [topic for topic in self._outbox.refused_topics(partition) if topic in self._outputs]
        if not topics_refused:
            self._sent_before.pop(partition, None)
        return dict.fromkeys(topics_refused, max(sent_to, self._sent_before.get(partition, 0)))

    def may_leave(self) -> bool:
        """Whether what is sent now can have an outcome."""
        return not self._outbox.refused()


class Unproven(Proof):
    """The null object: sends what it may not be able to write the outcome of. For tests of other things."""

    def __init__(self) -> None:
        """Asks nobody."""

    async def take_over(self, committed: Mapping[TP, Committed]) -> None:
        """Doubts nothing."""

    def refused(self, partition: int, sent_to: int) -> Refused:
        """None."""
        return NOT_REFUSED

    def may_leave(self) -> bool:
        """Always."""
        return True
