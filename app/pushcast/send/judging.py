"""What becomes of results that are no acceptance: an end, another try, a rung of the ladder, or being kept aside."""

from __future__ import annotations

from random import Random

from pushcast.model.words import Lane, Outcome, Platform
from pushcast.providers.breadth import Witness
from pushcast.providers.port import Disposition, Result
from pushcast.providers.webpush.sites import site_of
from pushcast.send.aside import Aside
from pushcast.send.decide import Again, End, Guard, Later, Park, Policy, decide
from pushcast.send.endings import Endings
from pushcast.send.figures import Figures
from pushcast.send.isolation import Isolation
from pushcast.send.once import ended_now
from pushcast.send.parking import ParkedRecords
from pushcast.send.receipts import ParcelReceipts
from pushcast.send.records import Job
from pushcast.stream.ports import Barrier
from pushcast.wire.sending.parked import Why

#: Targets to be tried again, and after how many seconds.
Retry = tuple[Job, float]


class Judging:
    """Of one stage. All results of a turn are counted for the breakers before the first of them is judged."""

    def __init__(
        self,
        *,
        platform: Platform,
        lane: Lane,
        policy: Policy,
        random: Random,
        figures: Figures,
        receipts: ParcelReceipts,
        aside: Aside,
        isolation: Isolation,
        parked: ParkedRecords,
        endings: Endings,
    ) -> None:
        self._platform = platform
        self._lane = lane
        self._policy = policy
        self._random = random
        self._figures = figures
        self._receipts = receipts
        self._aside = aside
        self._isolation = isolation
        self._parked = parked
        self._endings = endings

    def judge(
        self, job: Job, results: list[Result], barrier: Barrier, now_ms: int, retries: list[Retry], ours: bool
    ) -> int:
        """Ends, passes on or keeps aside what was not accepted, or collects it in `retries`. Returns how many are over
        with what is under the barrier."""
        parcel = job.parcel
        guard = self._isolation.guard(parcel.app)
        write = self._receipts.writing(parcel, barrier)
        ended = len(results)
        again: dict[bool, Retry] = {}
        for result in results:
            target = result.target
            verdict = self._decide(job, result, guard)
            if result.disposition is Disposition.UNKNOWN and self._endings.offers(parcel):
                self._endings.doubted(barrier, job, target, now_ms)
            if not ours and not (isinstance(verdict, End) and verdict.outcome is not Outcome.DEAD):
                verdict = Again(0.0, job.doubtful or result.disposition is Disposition.UNKNOWN)
            recalled = job.recalled and result.disposition is Disposition.UNSENT
            if recalled:  # to be looked at again: what was cancelled ends, the others leave
                verdict = Again(0.0, job.doubtful)
            if isinstance(verdict, End):
                outcome, reason, token_invalid = verdict
                words = (outcome, reason, result.provider_id, result.status, result.answered_at or now_ms)
                self._figures.outcomes[parcel.app, self._platform, self._lane, outcome, reason or ""] += 1
                if token_invalid:
                    self._endings.token_invalid(job, result, words, reason or outcome, now_ms)
                    ended -= 1
                elif outcome is Outcome.DEAD:
                    self._endings.dead(parcel, target, words, reason or outcome)
                    ended -= 1
                else:
                    write(target, *words)
                continue
            self._figures.tries_again[parcel.app, self._platform, self._lane, result.disposition] += 1
            if isinstance(verdict, Park):
                self._parked.add(parcel, (target,), Why.BREAKER, verdict.doubtful, refused=True)
                continue
            if isinstance(verdict, Again):
                _add_retry(again, job, target, verdict, job.tries + (not recalled))
                ended -= 1
            else:
                self._aside.retry(parcel, target, *verdict)
        retries += again.values()
        return ended

    def witness(self, job: Job, target: int) -> Witness:
        """Whose result it is, for a breaker that asks how broadly a provider fails."""
        record, targets = job.parcel.record, job.parcel.message.targets
        site = site_of(targets.address[target]) if self._platform is Platform.WEBPUSH else ""
        place = (record.batch.topic, record.batch.partition, record.offset)
        again = job.probe and record.was_refused
        return Witness(targets.token_hash[target], targets.user[target], place, site, again)

    def _decide(self, job: Job, result: Result, guard: Guard) -> End | Again | Later | Park:
        message = job.parcel.message
        options = message.options
        verdict = decide(
            result,
            tries=job.tries + 1,
            doubtful=job.doubtful,
            at_most_once=options.at_most_once,
            dry_run=options.dry_run,
            policy=self._policy,
            random=self._random,
            rounds_made=job.parcel.record.round.rounds,
            guard=guard,
            counts=job.probe and job.parcel.record.was_refused,
        )
        return ended_now(verdict, result.disposition) if message.is_now_or_never(result.target) else verdict


def _add_retry(again: dict[bool, Retry], job: Job, target: int, verdict: Again, tries: int) -> None:
    """Targets of one message that failed together are tried together, after the longest of their delays."""
    retry, delay_seconds = again.get(verdict.doubtful) or (
        Job(job.parcel, [], tries, verdict.doubtful),
        0.0,
    )
    retry.indices.append(target)
    again[verdict.doubtful] = (retry, max(delay_seconds, verdict.delay_seconds))
