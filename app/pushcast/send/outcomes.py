"""Turns results into receipts, many at a time: one barrier for all results that arrived in one turn of the loop.

Accepted ones are written at once. The others are counted first, for all apps, because what they say together decides
what each of them means: a breaker that opens on them parks them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from random import Random

from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Outcome, Platform
from pushcast.providers.port import Disposition, Result
from pushcast.providers.verdict import OUR_OWN_WAITING
from pushcast.send.aside import Aside
from pushcast.send.decide import End, Policy
from pushcast.send.endings import Endings, Share, TagOf
from pushcast.send.figures import Figures
from pushcast.send.isolation import Isolation
from pushcast.send.judging import Judging, Retry
from pushcast.send.parking import ParkedRecords
from pushcast.send.receipts import ParcelReceipts
from pushcast.send.records import Job, Parcel
from pushcast.send.tally import Tally
from pushcast.stream.ports import Barrier, Outbox
from pushcast.wire.answers.receipt_writer import TargetEnd
from pushcast.wire.schemas import NEWEST_GENERATION
from pushcast.wire.sending.parked import Why

_ACCEPTED = str(Outcome.ACCEPTED)


class Outcomes:
    """Writes one receipt per delivery that ended, to the partition of its send record.

    `on_acked` is told when Kafka has acknowledged the receipts (and token reports) of one call.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        policy: Policy,
        random: Random,
        platform: Platform,
        lane: Lane,
        group: str,
        figures: Figures,
        on_acked: Callable[[list[Share]], None],
        isolation: Isolation,
        aside: Aside,
        schema_generation: int = NEWEST_GENERATION,
        tags: Mapping[str, TagOf] | None = None,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._platform = platform
        self._lane = lane
        self._figures = figures
        self._on_acked = on_acked
        self._receipts = ParcelReceipts(outbox, platform)
        self._aside = aside
        self._isolation = isolation
        self._parked = ParkedRecords(outbox, clock, platform, lane, group, figures)
        self._endings = Endings(outbox, platform, lane, self._receipts, aside, on_acked, schema_generation, tags)
        self._judging = Judging(
            policy=policy,
            random=random,
            lane=lane,
            figures=figures,
            receipts=self._receipts,
            aside=aside,
            isolation=isolation,
            parked=self._parked,
            endings=self._endings,
            platform=platform,
        )

    def settle(self, arrived: Iterable[tuple[Job, Sequence[Result]]], ours: bool = True) -> list[Retry]:
        """Ends what ended, passes on what waits for another round, and returns what is to be tried again here.

        Unless it is sure that the partition is still `ours`, nothing is passed on: a new owner sends these targets, and
        would send them once more when the retry is due. They are returned, to be tried here or to go with the record.

        Results of targets without an open try are ignored: a provider that reports twice must not make two receipts.
        """
        now_ms = self._clock.now_ms()
        barrier = self._outbox.barrier()
        shares: list[Share] = []
        retries: list[Retry] = []
        others: list[tuple[Job, list[Result]]] = []
        tallies: dict[tuple[str, bool], Tally] = {}
        seconds: defaultdict[str, list[float]] = defaultdict(list)  # latencies by app
        ends: defaultdict[str, int] = defaultdict(int)  # accepted by app
        spans = self._figures.spans
        for job, results in arrived:
            parcel = job.parcel
            if parcel.record.dropped:
                continue
            if spans is not None:
                message = parcel.message
                spans(parcel.app, self._platform, message.traces, message.targets.notification, results)
            accepted, written, rest = self._accept(job, results, barrier, now_ms, seconds[parcel.app])
            ends[parcel.app] += accepted
            if written:
                _add_share(shares, parcel, written)
            if rest:
                others.append((job, rest))
            tally = tallies.get((parcel.app, job.probe))
            if tally is None:
                tally = tallies[parcel.app, job.probe] = Tally()
            tally.sound += accepted
            held_back = 0
            for result in rest:
                if result.disposition is Disposition.UNSENT and (not ours or result.reason in OUR_OWN_WAITING):
                    held_back += 1  # by our own lease or waiting: it says nothing about the provider
                else:
                    tally.add(result, self._judging.witness(job, result.target))
            if job.probe:
                self._isolation.forgo(parcel.app, held_back)
        self._told(ends, seconds)
        for (app, probes), tally in tallies.items():
            if tally.bad or tally.sound or tally.slowed:
                self._isolation.note(app, tally, probes=probes)
        for job, rest in others:
            ended = self._judging.judge(job, rest, barrier, now_ms, retries, ours)
            if ended:
                _add_share(shares, job.parcel, ended)
        if shares:
            self._aside.put(barrier, now_ms)
            self._parked.put(barrier)
            barrier.on_acked(partial(self._on_acked, shares))
        self._endings.put()
        return retries

    def end(self, ended: Iterable[tuple[Parcel, Sequence[int], End]]) -> None:
        """Ends targets that were never handed over."""
        now_ms = self._clock.now_ms()
        barrier = self._outbox.barrier()
        shares: list[Share] = []
        for parcel, indices, (outcome, reason, _) in ended:
            write = self._receipts.writing(parcel, barrier)
            for target in indices:
                write(target, outcome, reason, None, None, now_ms)
            self._count(parcel.app, outcome, reason, len(indices))
            shares.append((parcel.record, parcel.key, len(indices)))
        barrier.on_acked(partial(self._on_acked, shares))

    def park(self, job: Job, why: Why) -> None:
        """Keeps targets aside that were not handed over and hold their budget."""
        parcel, barrier = job.parcel, self._outbox.barrier()
        self._parked.add(parcel, job.indices, why, job.doubtful)
        self._parked.put(barrier)
        barrier.on_acked(partial(self._on_acked, [(parcel.record, parcel.key, len(job.indices))]))

    def _accept(
        self, job: Job, results: Sequence[Result], barrier: Barrier, now_ms: int, seconds: list[float]
    ) -> tuple[int, int, list[Result]]:
        """Ends what was accepted. Returns how many, how many of them have their receipt under the barrier, and the
        other results of targets that were open; adds latencies to `seconds`."""
        parcel = job.parcel
        attempts = parcel.message.targets.attempt
        still_open, recalled = job.open, job.recalled
        with_tickets, offers = self._endings.with_tickets, self._endings.offers(parcel)
        taken: list[TargetEnd] = []
        accepted = 0
        others: list[Result] = []
        for result in results:
            target, disposition, _, status, provider_id, _, _, sent_at, answered_at = result
            if target not in still_open:
                continue
            still_open.discard(target)
            if not recalled or disposition is not Disposition.UNSENT:
                attempts[target] += 1
            if answered_at and sent_at:
                seconds.append((answered_at - sent_at) / 1000)
            if disposition is not Disposition.ACCEPTED:
                others.append(result)
                continue
            accepted += 1
            if with_tickets and provider_id is not None:
                words = (_ACCEPTED, None, provider_id, status, answered_at or now_ms)
                self._endings.ticketed(parcel, target, words, provider_id, sent_at or job.handed_at)
            elif offers:
                self._endings.offered(job, target, (_ACCEPTED, None, provider_id, status, answered_at or now_ms))
            else:
                taken.append((target, provider_id, status, answered_at or now_ms))
        if taken:
            self._receipts.write_all(parcel, barrier, taken, _ACCEPTED, None)
        return accepted, len(taken), others

    def _told(self, accepted: Mapping[str, int], seconds: Mapping[str, list[float]]) -> None:
        """Counts what one turn brought, once for each app and not for each of its messages."""
        for app, count in accepted.items():
            if count:
                self._count(app, Outcome.ACCEPTED, None, count)
        for app, latencies in seconds.items():
            if latencies:
                self._figures.latencies(app, self._platform, latencies)

    def _count(self, app: str, outcome: Outcome, reason: str | None, count: int) -> None:
        # The words are enum members or provider reasons; both are strings, and a label is one either way.
        self._figures.outcomes[app, self._platform, self._lane, outcome, reason or ""] += count


def _add_share(shares: list[Share], parcel: Parcel, count: int) -> None:
    """Small messages of one record and app mostly end together: they have one share."""
    if shares:
        record, key, before = shares[-1]
        if record is parcel.record and key is parcel.key:
            shares[-1] = record, key, before + count
            return
    shares.append((parcel.record, parcel.key, count))
