"""Glue of SEND: send records in, messages to providers, receipts out. One stage per (platform, lane).

A record is done only when every target has an outcome that Kafka has acknowledged: a receipt, a retry record or a
parked one. Nothing here waits per target: targets travel in messages, small messages together, results in lists.

Order: messages of one app are handed over in the order of their records, and so are the targets of one device, as
long as no try fails, nothing is parked, none is now or never and the budget does not split a message. Answers, receipts
and retries come in any order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from random import Random

from pushcast.handover import standing
from pushcast.handover.exact import Known
from pushcast.handover.fences import Fences
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Provider, Replaceable
from pushcast.send.aside import Aside, NoLadder
from pushcast.send.budget import Budget
from pushcast.send.cancelling import Cancelling
from pushcast.send.clearance import Clearance
from pushcast.send.decide import Policy
from pushcast.send.departures import Departures
from pushcast.send.ends import RecordEnds
from pushcast.send.figures import Figures
from pushcast.send.gate import Gate
from pushcast.send.intake import SendIntake
from pushcast.send.isolation import Isolation
from pushcast.send.lease import Lease
from pushcast.send.opening import Opening
from pushcast.send.outcomes import Outcomes
from pushcast.send.parking import ParkedRecords, Parking
from pushcast.send.proof import Proof
from pushcast.send.records import OpenRecord, SendTenure
from pushcast.send.sealing import ContentSealing
from pushcast.send.slowness import Slowness
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.callbacks import guarded, timers
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.stage import Stage
from pushcast.stream.tenure import Tenures
from pushcast.wire import groups
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sealing.seals import TokenKeys

logger = logging.getLogger(__name__)

#: A slow app may keep 1/16 of a partition's open targets waiting. With its share in flight that stays below half of the
#: partition's bounds, at which a paused partition resumes.
KEEP_PART = 16
#: Of a partition's open targets: with more, what comes behind them is about to be kept out.
CROWD_PART = 2


class SendStage(Stage):
    """See the module. Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        *,
        platform: Platform,
        lane: Lane,
        providers: Mapping[str, Provider],
        outbox: Outbox,
        clock: Clock,
        budget: Budget,
        policy: Policy,
        max_open_targets: int,
        quiesce_seconds: float,
        random: Random,
        figures: Figures,
        exact: Known,
        isolation: Isolation,
        lease: Lease,
        proof: Proof,
        fatal: Fatal,
        call_later: CallLater | None = None,
        slow_seconds: float = 5.0,
        now_or_never_seconds: float = 10.0,
        flood: FloodGuard | None = None,
        schema_generation: int = NEWEST_GENERATION,
        cancels: Cancels | None = None,
        keys: Callable[[], TokenKeys] | None = None,
        quiet_spread_ms: int = 0,
    ) -> None:
        """Without `cancels` nothing is ever cancelled, without `keys` no address is opened."""
        self.platform = platform
        self.lane = lane
        self.figures = figures
        self.budget = budget
        self._group = groups.send(platform, lane)
        self._providers = providers
        # Of plain texts: an enum hashes by a call of Python, and each push asks for its key several times.
        self._keys = {app: (app, str(platform), str(lane)) for app in ("", *providers)}
        self._outbox = outbox
        self._quiesce_seconds = quiesce_seconds
        self._fatal = fatal
        self._guarded = guarded(f"{self._group}: a step of the sender failed", fatal)
        self._exact = exact
        self._isolation = isolation
        self._proof = proof
        self._cancels: Cancels = cancels or NothingCancelled()
        self._tenures = Tenures(self._new_tenure)
        self._crowd = max_open_targets // CROWD_PART
        later = timers(call_later)
        self._gate = gate = Gate(lease, proof, self._heartbeat_at, later)
        ladder = policy.ladder
        aside = NoLadder() if ladder is None else Aside(outbox, ladder, random, platform, lane, self._group)
        self._ends = RecordEnds(budget, self._fed, self._guarded)
        outcomes = Outcomes(
            outbox,
            clock,
            policy,
            random,
            platform,
            lane,
            self._group,
            figures,
            self._ends.acked,
            isolation,
            aside,
            schema_generation,
            {app: each.tag_of for app, each in providers.items() if isinstance(each, Replaceable)},
        )
        self._parking = Parking(
            outbox,
            ParkedRecords(outbox, clock, platform, lane, self._group, figures),
            may_leave=gate.may_leave,
            on_parked=self._ends.parked,
            fatal=fatal,
        )
        cancelling = Cancelling(
            self._cancels.state, clock, lane, lambda targets: figures.unheard.update({(platform, lane): targets})
        )
        self._departures = Departures(
            group=self._group,
            budget=budget,
            clock=clock,
            outcomes=outcomes,
            isolation=isolation,
            cancelling=cancelling,
            clearance=Clearance(
                outcomes=outcomes,
                isolation=isolation,
                cancelling=cancelling,
                opening=Opening(platform, keys),
                sealing=ContentSealing(platform, keys),
                quiet_spread_ms=quiet_spread_ms,
            ),
            parking=self._parking,
            slowness=Slowness(slow_seconds, max_open_targets // KEEP_PART, self._is_crowded),
            gate=gate,
            fatal=fatal,
            guarded=self._guarded,
            later=later,
        )
        self._intake = SendIntake(
            platform=platform,
            lane=lane,
            group=self._group,
            providers=providers,
            key_of=self._key,
            outbox=outbox,
            clock=clock,
            figures=figures,
            exact=exact,
            tenures=self._tenures,
            max_open_targets=max_open_targets,
            now_or_never_seconds=now_or_never_seconds,
            schema_generation=schema_generation,
            flood=flood,
            queue=self._departures.queue,
            fed=self._departures.pump,
            guarded=self._guarded,
        )
        for app in providers:
            budget.register(self._key(app))
        budget.subscribe(self._departures.pump)
        self._cancels.state.subscribe(self._recall)
        isolation.subscribe(self._departures.pump)

    def in_flight(self, app: str) -> int:
        """Deliveries of an app at its provider, or whose outcome Kafka has not acknowledged."""
        return self.budget.held_by(self._key(app))

    def waiting(self) -> int:
        """Decoded targets that wait for the budget: at most `max_open_targets` and one record a partition."""
        return sum(len(job.indices) for queue in self._departures.waiting.values() for job in queue)

    async def handle(self, batch: Batch) -> None:
        """Takes the records over and returns; they are decoded and done later."""
        await self._outbox.room()
        # From here on nothing may fail: the transport would hand over again what is taken already.
        self._intake.add(batch)

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Forgets what was open before: Kafka hands it over again. Learns what predecessors brought to an end."""
        self._drop(self._of(committed))
        self._tenures.begin(committed)
        self._isolation.look(self._providers)
        await self._cancels.follow(tp.partition for tp in committed)
        await self._proof.take_over(committed)
        await self._exact.take_over(self.work, committed)
        await self._exact.look_back(committed, lambda tp: self._tenures.of(tp).copies)

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """The fences below the offset, and from where on the outcomes of what is not done are found."""
        tenure = self._tenures.get(tp)
        origins = {} if tenure is None else tenure.fences.below(offset)
        sent_to = 0 if tenure is None else tenure.sent_to()
        return self._exact.metadata(tp, offset, origins, self._proof.refused(tp.partition, sent_to))

    async def refresh(self) -> None:
        """Output positions of partitions where nothing happens."""
        await self._exact.refresh(self.work)

    async def revoking(self, partitions: set[TP]) -> None:
        """Begins no further record, finishes those begun within the quiesce bound, and drops the rest.

        A record that is half sent is finished rather than dropped: the next owner would send all of it.
        """
        self._tenures.close(partitions)
        grounded = self._departures.grounded()
        self._drop([each for each in self._of(partitions) if not each.started or each in grounded])
        try:
            with self._gate.closing():
                async with asyncio.timeout(self._quiesce_seconds):
                    await self._tenures.settled(partitions)
        except TimeoutError:
            logger.warning("%s: %d records not finished in time", self._group, len(self._of(partitions)))
        finally:  # also when the transport's own bound cancels the wait
            self._drop(self._of(partitions))
            self._departures.pump()

    def _recall(self, partition: int | None, users: frozenset[str]) -> None:
        self._guarded(partial(self._departures.recall, partition, users))

    async def close(self) -> None:
        """Drops everything and waits for the cancelled sends. The providers may be closed afterwards."""
        everywhere = [tenure.tp for tenure in self._tenures]
        self._tenures.close(everywhere)
        self._drop(self._of(everywhere))
        self.budget.unsubscribe(self._departures.pump)
        self._isolation.unsubscribe(self._departures.pump)
        await self._parking.close()
        await self._departures.close()

    def _new_tenure(self, tp: TP, committed: Committed) -> SendTenure:
        return SendTenure(tp, Fences(standing.decode(committed.metadata).origins))

    def _of(self, partitions: Iterable[TP]) -> list[OpenRecord]:
        """Records of these partitions that are not finished."""
        tenures = filter(None, map(self._tenures.get, partitions))
        return [record for tenure in tenures for record in tenure.records.values()]

    def _key(self, app: str) -> Hashable:
        # Apps that are not configured share one place: their names come from outside.
        return self._keys.get(app) or self._keys[""]

    def _heartbeat_at(self) -> float:
        return self.work.last_heartbeat_at()  # `work` is set when the stage is declared on its App

    def _is_crowded(self, tenure: SendTenure) -> bool:
        # With a single app there is nobody to protect from its slowness.
        several = len(self._providers) > 1
        return several and self._isolation.parks and tenure.targets >= self._crowd

    def _fed(self) -> None:
        self._intake.feed_soon()

    def _drop(self, records: Sequence[OpenRecord]) -> None:
        """Forgets records: no further target leaves, nothing of theirs is done. Receipts under way still count."""
        self._departures.flush()  # what is answered is answered
        gone = {record for record in records if record.left}
        for record in gone:
            record.tenure.drop(record)
        if gone:
            self.figures.dropped[self.platform, self.lane] += sum(record.left for record in gone)
            self._departures.drop(gone)
