"""What records make of the rows of one partition, each stretch without an await."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ownership import Evict
from pushcast.model.partitions import partitions_of
from pushcast.model.words import Reason
from pushcast.register.admit import Admission, Admitted
from pushcast.register.context import Context
from pushcast.register.evicting import Evicting
from pushcast.register.holds import Hold
from pushcast.register.rows import Changes
from pushcast.register.suspending import Suspending
from pushcast.register.sweep import SweepRules
from pushcast.register.swept import SweptRows
from pushcast.register.tenure import RegisterTenure
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.stream.batch import Batch, Record
from pushcast.stream.edge import Edge, Misplaced
from pushcast.wire.answers.receipts import TokenInvalid
from pushcast.wire.newer import NewerSchema

#: A record with where it goes instead: another partition of its topic, or the dead letters.
Detour = tuple[Record, int | InvalidInput | NewerSchema]


class Applying:
    """Of one stage. Callers await room first. Nothing here waits, so that reading a row and writing it are one step."""

    def __init__(self, context: Context, admission: Admission, edge: Edge, rules: SweepRules, clock: Clock) -> None:
        self._context = context
        self._counters = context.counters
        self._outbox = context.outbox
        self._admission = admission
        self._edge = edge
        self._rules = rules
        self._clock = clock

    def apply(self, tenure: RegisterTenure, batch: Batch, records: Sequence[Record]) -> list[Detour]:
        """Puts the rows of these records; returns the records that belong elsewhere.

        Nothing is awaited: the other topic's batch of this partition must not come between a decision and its write.
        """
        barrier = self._outbox.barrier()
        detours: list[Detour] = []
        admitted: list[tuple[Record, Admitted, int]] = []
        keys = [record.key or b"" for record in records]
        for record, right in zip(records, partitions_of(keys, self._admission.partitions), strict=True):
            try:
                admitted.append((record, *self._admission.admit(record, right)))
            except Misplaced as misplaced:
                detours.append((record, misplaced.right))
            except Exception as error:
                detours.append((record, self._edge.refusal(record, error)))
        view = UserView(self._context, tenure)
        view.expect(record.key or b"" for record, _, _ in admitted)
        offsets: list[int] = []
        with Writing(self._context, tenure, barrier) as write:
            changes = Changes(self._context, write, view)
            verdicts = Suspending(self._context, write, view)
            evicting = Evicting(self._context, write, view)
            for record, event, at in admitted:
                try:
                    if isinstance(event, TokenInvalid):
                        verdicts.suspend(record, event)
                    elif isinstance(event, Evict):
                        evicting.apply(record, event)
                    else:
                        changes.apply(record, event, at)
                except InvalidInput as error:
                    detours.append((record, error))
                except NewerSchema as newer:
                    detours.append((record, newer))
                    break  # this one waits, and so does what comes behind it
                else:
                    offsets.append(record.offset)
        tenure.completions.add(batch, offsets, write.behind)
        return detours

    def holds_of(
        self, batch: Batch, records: Sequence[Record]
    ) -> tuple[list[Detour], list[tuple[Record, TokenInvalid]]]:
        """What belongs elsewhere, and suspensions that wait for their end. Their other steps are for people to read."""
        detours: list[Detour] = []
        holds: list[tuple[Record, TokenInvalid]] = []
        told: list[int] = []
        for record in records:
            try:
                event = self._admission.admit_hold(record)
            except Misplaced as misplaced:
                detours.append((record, misplaced.right))
            except Exception as error:
                detours.append((record, self._edge.refusal(record, error)))
            else:
                if event is None:
                    told.append(record.offset)
                else:
                    holds.append((record, event))
        batch.done_many(told)
        return detours, holds

    def end_holds(self, tenure: RegisterTenure, holds: Sequence[Hold]) -> list[Hold]:
        """Returns those whose row only a later release can read."""
        barrier = self._outbox.barrier()
        offsets: dict[Batch, list[int]] = {}
        waiting: list[Hold] = []
        with Writing(self._context, tenure, barrier) as write:
            changes = Suspending(self._context, write, UserView(self._context, tenure))
            for hold in holds:
                try:
                    changes.end(hold.record, self._admission.verdict_of(hold.record))
                except NewerSchema:
                    self._counters["unreadable_rows", Reason.UNKNOWN_SCHEMA] += 1
                    waiting.append(hold)
                else:
                    offsets.setdefault(hold.batch, []).append(hold.record.offset)
        for batch, mine in offsets.items():
            tenure.completions.add(batch, mine, write.behind)
        return waiting

    def end_swept(self, tenure: RegisterTenure, keys: Sequence[bytes]) -> None:
        """Ends rows whose time has come, as they are with all that is in flight."""
        barrier = self._outbox.barrier()
        with Writing(self._context, tenure, barrier) as write:
            ending = SweptRows(self._context, tenure, write, self._rules, self._clock.now_ms())
            for key in keys:
                ending.end(key)
        write.behind.on_acked(lambda: None)  # a refusal ends the process: rows of this size are never refused

    def overwrite(self, tenure: RegisterTenure, void: Mapping[bytes, int]) -> None:
        """Writes what is known of these keys over void rows, which lie at these offsets."""
        barrier = self._outbox.barrier()
        write = Writing(self._context, tenure, barrier)
        for key, offset in void.items():
            tenure.gate.run(partial(write.over, key, offset))
        write.behind.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong
