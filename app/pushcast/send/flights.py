"""Jobs that were handed to a provider together, and the results that have come back so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence, Set
from functools import partial

from pushcast.providers.port import ManyAtOnce, Part, Provider, Result
from pushcast.send.records import Job, OpenRecord
from pushcast.stream.ports import Fatal


class _Flight:
    """Jobs that leave in one turn. Recalled, nothing of them leaves any more: what is out is answered, the rest comes
    back unsent. Providers gather small messages of calls that ask the same `may_leave`, so one turn has one flight, and
    one more for what is now or never: that comes back when the first of it would leave too late."""

    __slots__ = ("_may_leave", "_now_ms", "jobs", "recalled", "until_ms")

    def __init__(self, may_leave: Callable[[], bool], now_ms: Callable[[], int]) -> None:
        self.jobs: set[Job] = set()  # at a provider
        self.recalled = False
        self.until_ms: int | None = None
        self._may_leave = may_leave
        self._now_ms = now_ms

    def may_leave(self) -> bool:
        """Asked before each write."""
        if self.until_ms is not None and not self.recalled and self._now_ms() >= self.until_ms:
            self.recall()
        return not self.recalled and self._may_leave()

    def recall(self) -> None:
        """Nothing of these jobs leaves any more."""
        self.recalled = True
        for job in self.jobs:
            job.recalled = True


class Flights:
    """`changed` is called when something came back. Providers ask `may_leave` before each write. Nothing here waits per
    target: small messages leave together."""

    def __init__(
        self,
        group: str,
        fatal: Fatal,
        changed: Callable[[], None],
        may_leave: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._group = group
        self._fatal = fatal
        self._changed = changed
        self._may_leave = may_leave
        self._now_ms = now_ms
        self._leaving: dict[tuple[Hashable, int, bool], list[Job]] = {}  # within one call: to be started at its end
        self._running: dict[Job, asyncio.Task[None]] = {}
        self._flights: set[_Flight] = set()
        self._arrived: list[tuple[Job, Sequence[Result]]] = []
        self._returned: list[Job] = []

    def add(self, job: Job, now_ms: int) -> None:
        """Leaves with the next `start`, which must come before anything else may happen to the job."""
        job.open.update(job.indices)
        job.handed_at = now_ms
        parcel = job.parcel
        # Of one partition only: what is dropped together is cancelled together.
        self._leaving.setdefault((parcel.key, parcel.record.batch.partition, parcel.may_be_late), []).append(job)

    def start(self) -> None:
        """Hands over what was added."""
        leaving, self._leaving = self._leaving, {}
        if not leaving:
            return
        flights: dict[bool, _Flight] = {}
        for (_, _, may_be_late), jobs in leaving.items():
            provider = jobs[0].parcel.provider
            assert provider is not None, "what has no provider was ended"
            flight = flights.get(may_be_late)
            if flight is None:
                flight = flights[may_be_late] = _Flight(self._may_leave, self._now_ms)
                self._flights.add(flight)
            flight.jobs.update(jobs)
            if may_be_late:
                ends = [at for job in jobs if (at := job.last_moment()) is not None]
                flight.until_ms = min(ends if flight.until_ms is None else [*ends, flight.until_ms], default=None)
            for some in [jobs] if isinstance(provider, ManyAtOnce) else [[job] for job in jobs]:
                task = asyncio.create_task(self._run(flight, some, provider))
                self._running.update(dict.fromkeys(some, task))

    def take(self) -> tuple[list[tuple[Job, Sequence[Result]]], list[Job]]:
        """Results since the last time, and jobs whose provider has returned."""
        arrived, self._arrived = self._arrived, []
        returned, self._returned = self._returned, []
        return arrived, returned

    def records(self) -> set[OpenRecord]:
        """Of which something is at a provider."""
        return {job.parcel.record for job in self._running}

    def recall(self, concerns: Callable[[Job], bool]) -> None:
        """Brings back what has not left of the turns that hold a job which `concerns` says yes to."""
        for flight in self._flights:
            if not flight.recalled and any(concerns(job) for job in flight.jobs):
                flight.recall()

    def cancel(self, gone: Set[OpenRecord]) -> list[Job]:
        """Cancels jobs of these records. Returns them; their open targets are the caller's to account for."""
        cancelled = [job for job in self._running if job.parcel.record in gone]
        for job in cancelled:
            self._running[job].cancel()
        return cancelled

    async def ended(self) -> None:
        """Waits for what is under way, cancelled or not."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run(self, flight: _Flight, jobs: list[Job], provider: Provider) -> None:
        parts = [Part(*piece, partial(self._on_results, job)) for job in jobs for piece in job.handed()]
        try:
            if isinstance(provider, ManyAtOnce):
                await provider.send_many(parts, flight.may_leave)
            else:
                for part in parts:
                    await provider.send(*part, flight.may_leave)
        except Exception as error:
            # The port promises not to raise: this is a defect, and what it left behind is not known.
            self._fatal(f"{provider.engine} engine of {self._group}", error)
            return
        except asyncio.CancelledError:
            if all(job.parcel.record.dropped for job in jobs):
                raise
            # Not by us: the provider was closed under way. What has no result is unknown.
        finally:
            flight.jobs.difference_update(jobs)
            if not flight.jobs:
                self._flights.discard(flight)
            for job in jobs:
                del self._running[job]
        self._returned += jobs
        self._changed()

    def _on_results(self, job: Job, results: list[Result]) -> None:
        self._arrived.append((job, results))
        self._changed()
