"""Which apps are so slow that their waiting work holds up others, and what of it is kept aside. Pure.

An app whose provider answers slowly, and is not broken, spends its budget; its work waits, and would fill the open
targets of its partitions for everybody. So when what its answers take holds down what may be out (`Provider.slow`), and
what waits would take too long at the rate at which work leaves, only the oldest stays in each crowded partition, enough
to keep the provider busy; the rest is parked, and what comes is parked as it comes, until the wait is short again.
Waiting that we cause ourselves (encryption, pacing, CPU, Kafka) parks nothing, and nor
does a deep backlog of a busy app with a quick provider.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping

from pushcast.send.records import Job, SendTenure

#: Jobs of a partition that may wait, however small: records have a bound of their own.
JOBS_KEPT = 50
#: Rates are of at least so long. Shorter, one round trip to a healthy provider would look like none.
WINDOW_SECONDS = 1.0


class Slowness:
    """Of one stage. `keep`: targets that may wait in each partition, of all slow apps together. `now`: monotonic.
    `crowded`: whether what is open in a partition keeps out what comes behind, maybe another app's."""

    def __init__(self, slow_seconds: float, keep: int, crowded: Callable[[SendTenure], bool]) -> None:
        self._slow_seconds = slow_seconds
        self._keep = keep
        self._crowded = crowded
        self._crowds: dict[SendTenure, bool] = {}
        self._least_weight = max(1, keep // JOBS_KEPT)
        self._share = keep
        self._slow: dict[Hashable, Counter[SendTenure]] = {}  # slow apps: weight waiting by partition (an upper bound)
        self._looks: deque[tuple[float, Counter[Hashable]]] = deque()  # when, and what has left from then on

    def left(self, key: Hashable, targets: int) -> None:
        """These were handed to their provider."""
        if self._looks:
            self._looks[-1][1][key] += targets

    def look(self, waiting: Mapping[Hashable, deque[Job]], now: float) -> list[Job]:
        """Finds the slow ones, and takes out of their queues what is to be parked: the newest of each partition.

        Call it regularly while something waits.
        """
        while len(self._looks) > 1 and now - self._looks[1][0] >= WINDOW_SECONDS:
            self._looks.popleft()
        seconds = now - self._looks[0][0] if self._looks else 0.0
        slow = [key for key, queue in waiting.items() if queue and self._is_slow(key, queue, now, seconds)]
        self._looks.append((now, Counter()))
        self._slow = {key: Counter() for key in slow}
        self._crowds = {}
        self._share = self._keep // max(1, len(slow))
        return [job for key in slow for job in self._trim(waiting[key])]

    def forget(self) -> None:
        """Nothing waits, or nobody can tell why: nobody is slow."""
        self._slow = {}
        self._looks.clear()

    def _is_slow(self, key: Hashable, queue: deque[Job], now: float, seconds: float) -> bool:
        head = queue[0].parcel
        if head.provider is None or not head.provider.slow:  # without one it ends as soon as it has its budget
            return False
        if now - head.record.taken_at > self._slow_seconds:
            return True
        if seconds < WINDOW_SECONDS:
            return False
        left = sum(counts[key] for _, counts in self._looks)
        return sum([len(job.indices) for job in queue]) * seconds > left * self._slow_seconds

    def is_excess(self, job: Job) -> bool:
        """Whether a job that comes is parked at once. Counts those that are not. Cheap when nobody is slow."""
        here = self._slow.get(job.parcel.key) if self._slow else None
        if here is None:
            return False
        tenure = job.parcel.record.tenure
        if not self._is_crowded(tenure):
            return False
        if here[tenure] >= self._share:
            return True
        here[tenure] += max(len(job.indices), self._least_weight)
        return False

    def _is_crowded(self, tenure: SendTenure) -> bool:
        """As it was found first since the last look: what is parked meanwhile changes nothing."""
        crowded = self._crowds.get(tenure)
        if crowded is None:
            crowded = self._crowds[tenure] = self._crowded(tenure)
        return crowded

    def _trim(self, queue: deque[Job]) -> list[Job]:
        jobs = list(queue)
        excess = [job for job in jobs if self.is_excess(job)]
        if excess:
            gone = set(excess)
            queue.clear()
            queue.extend(job for job in jobs if job not in gone)
        return excess
