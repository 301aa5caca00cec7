"""Glue of SPREAD: broadcast events in, one order for every partition out.

Events of a lane are spread one after the other, because the orders of a partition must come in the order of the
events. Partition 0 has an order first, and that is awaited: it is what a successor goes by.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from functools import partial

from pushcast.config.settings import Settings
from pushcast.model.broadcast import Broadcast, Instant
from pushcast.model.clock import Clock
from pushcast.model.instants import instants_of
from pushcast.model.words import Reason
from pushcast.spread.books import SpreadBooks
from pushcast.spread.exact import SpreadHandover
from pushcast.spread.stepping import Stepping
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.retrying import retried
from pushcast.stream.runner import Runner
from pushcast.stream.stage import Stage
from pushcast.wire import topics
from pushcast.wire.control.control import Halt, Kind, Name, StepDecision
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.schemas import SchemaSource


class SpreadStage(Stage):
    """All lanes. `walk_topics`: by intake topic, where its orders go."""

    def __init__(
        self,
        settings: Settings,
        walk_topics: Mapping[str, str],
        *,
        outbox: Outbox,
        clock: Clock,
        handover: SpreadHandover,
        control: ControlState,
        counters: MutableMapping[tuple[str, str], int],
        books: SpreadBooks,
        fatal: Fatal,
        schemas: SchemaSource | None = None,
        call_later: CallLater | None = None,
    ) -> None:
        self._walk_topics = dict(walk_topics)
        self._partitions = settings.kafka.partitions
        self._rounds = (range(1), range(1, self._partitions))
        self._outbox = outbox
        self._clock = clock
        self._handover = handover
        self._control = control
        self._schemas = schemas
        self._count = counting(counters)
        self._edge = Edge("spread", outbox, self._count, FloodGuard(settings.flood, clock))
        rules = class_rules(settings.classes)
        self._decoder = BroadcastDecoder(settings.apps, rules, schemas)
        self._books = books
        self._zones = {name: app.time_zone for name, app in settings.apps.items()}
        self._looked_ms = 0
        self._due = Runner("spread: due", self._until_due, self._look_again, fatal, call_later)
        self._stepping = Stepping(
            self._partitions,
            outbox=outbox,
            clock=clock,
            control=control,
            books=books,
            write=self._write,
            count=self._count,
        )

    def reload(self, settings: Settings) -> None:
        """Broadcasts that come from now on go by these classes."""
        self._decoder.change(class_rules(settings.classes))

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Fences predecessors off and reads what they spread; nothing is spread before."""
        await self._handover.take_over(self.work, committed)
        for tp in committed:
            self._stepping.began(tp)

    async def handle(self, batch: Batch) -> None:
        """Spreads the events of the batch, each done when every partition has its order."""
        if self._schemas is not None:
            await self._schemas.prepare([record.value for record in batch.records])
        for record in batch.records:
            await self._outbox.room()
            try:
                value = await self._order(record)
            except OSError:
                raise  # Kafka is not well, and the record is not to blame
            except Exception as error:  # whatever decoding raises: no record ends the process
                refusal = self._edge.refusal(record, error)
                self._edge.note(TP(batch.topic, batch.partition), 0, (refusal,))
                self._edge.bury(record, refusal, partial(batch.done_many, (record.offset,)))
                continue
            self._edge.note(TP(batch.topic, batch.partition), 1)
            await self._write(TP(batch.topic, batch.partition), value, self._rounds)
            batch.done_many((record.offset,))
        self._due.wake()

    async def _order(self, record: Record) -> bytes:
        tp = TP(record.topic, record.partition)
        register = self._handover.register(tp)
        there = register.there(record.offset)
        if there is not None:
            return there
        recorded_at = record.timestamp if record.timestamp >= 0 else self._clock.now_ms()
        event = self._decoder.decode(record.key, record.value, recorded_at)
        not_to, since_ms = event.broadcast.not_to, 0
        if not_to is not None:
            since_ms = await self._books.ended_at(tp.topic.split(".")[2], register, not_to.broadcast)
        instants = self._instants(event.broadcast)
        frozen = event.frozen(self._control.segment, since_ms, instants or ())
        ends = [each.expires_at for each in instants] if instants is not None else [event.broadcast.note.expires_at]
        over = max(ends, default=0) <= self._clock.now_ms()
        reason = Reason.EXPIRED if over else "" if instants is None else Reason.SCHEDULED
        order, value = register.order(record.offset, recorded_at, event, frozen, reason=reason)
        self._count("spread", order.reason or ("count" if order.count_only else "broadcast"), 1)
        return value

    def _instants(self, broadcast: Broadcast) -> list[Instant] | None:
        """None: it goes at once. A count does, too."""
        if broadcast.note.timing is None or broadcast.count_only:
            return None
        return instants_of(broadcast.note, self._zones[broadcast.app])

    def _until_due(self) -> float | None:
        due = [at for tp in self.work.partitions() for at in self._due_of(tp) if at > self._looked_ms]
        return (min(due) - self._clock.now_ms()) / 1000 if due else None

    def _due_of(self, tp: TP) -> list[int]:
        register = self._handover.taken(tp)
        return [] if register is None else self._stepping.due_ms(register)

    async def _look(self) -> None:
        self._looked_ms = self._clock.now_ms()
        for tp in self.work.partitions():
            register = self._handover.taken(tp)
            if register is not None:
                await self._stepping.look(tp, register)

    async def _look_again(self) -> None:
        await retried("spread: broadcasts that are due", self._look, lambda: not self.work.partitions())

    async def _write(self, tp: TP, value: bytes, rounds: tuple[range, ...]) -> None:
        topic, origin = self._walk_topics[tp.topic], self._handover.origin(tp)
        for partitions in rounds:
            await self._outbox.room()
            barrier = self._outbox.barrier()
            for partition in partitions:
                self._outbox.put(barrier, topic, partition, value, None, list(origin))
            await barrier.wait()

    async def refresh(self) -> None:
        """Goes on with broadcasts in steps, and removes control records of broadcasts that can no longer be alive.
        Every lane's owner does that: twice is once."""
        await self._look()
        self._due.wake()
        if self.work.partitions():
            await self._clean_up()

    async def revoking(self, partitions: set[TP]) -> None:
        """Decides nothing more about these lanes."""
        await super().revoking(partitions)
        self._handover.let_go(partitions)

    async def _clean_up(self) -> None:
        now_ms = self._clock.now_ms()
        known: tuple[tuple[Kind, Mapping[str, Halt | StepDecision]], ...] = (
            (Kind.STOP, self._control.stops),
            (Kind.HOLD, self._control.holds),
            (Kind.STEP, self._control.steps),
        )
        over = [
            Name(kind, name)
            for kind, entries in known
            for name, entry in entries.items()
            if entry.remove_at is not None and entry.remove_at <= now_ms
        ]
        if not over:
            return
        await self._outbox.room()
        barrier = self._outbox.barrier()
        for subject in over:
            self._outbox.put(barrier, topics.CONTROL, 0, None, subject.key())
        await barrier.wait()

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """The epoch of the claim."""
        return self._handover.metadata(tp)
