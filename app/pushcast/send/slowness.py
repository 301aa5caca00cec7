"""Which apps are so slow that their waiting work holds up others, and what of it is kept aside. Pure.

An app whose provider answers slowly, and is not broken, spends its budget; its work waits, and would fill the open
targets of its partitions for everybody. So of work that waits for too long only the oldest stays, enough to keep the
provider busy; the rest is parked, and what comes is parked as it comes, until the wait is short again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Mapping

from pushcast.send.records import Job

#: Jobs of a partition that may wait, however small: records have a bound of their own.
JOBS_KEPT = 100


class Slowness:
    """Of one stage. `keep`: targets that may wait in each partition, of all slow apps together.

    Choose it well below half of what may be open in a partition: above that, one that was paused does not resume.
    `now`: monotonic seconds.
    """

    def __init__(self, slow_seconds: float, keep: int) -> None:
        self._slow_seconds = slow_seconds
        self._keep = keep
        self._least_weight = max(1, keep // JOBS_KEPT)
        self._share = keep
        self._slow: dict[Hashable, Counter[int]] = {}  # key -> waiting weight by partition, never too little

    def look(self, waiting: Mapping[Hashable, deque[Job]], now: float) -> list[Job]:
        """Finds the slow ones, and takes out of their queues what is to be parked: the newest of each partition."""
        since = now - self._slow_seconds
        heads = {key: queue[0].parcel for key, queue in waiting.items() if queue}
        # What has no provider ends as soon as it has its budget.
        slow = [key for key, head in heads.items() if head.provider is not None and head.record.taken_at < since]
        self._slow = {key: Counter() for key in slow}
        self._share = self._keep // max(1, len(slow))
        return [job for key in slow for job in self._trim(waiting[key])]

    def forget(self) -> None:
        """Nothing waits: nobody is slow."""
        self._slow = {}

    def is_excess(self, job: Job) -> bool:
        """Whether a job that comes is parked at once. Counts those that are not. Cheap when nobody is slow."""
        here = self._slow.get(job.parcel.key) if self._slow else None
        if here is None:
            return False
        partition = job.parcel.record.batch.partition
        if here[partition] >= self._share:
            return True
        here[partition] += max(len(job.indices), self._least_weight)
        return False

    def _trim(self, queue: deque[Job]) -> list[Job]:
        jobs = list(queue)
        excess = [job for job in jobs if self.is_excess(job)]
        if excess:
            gone = set(excess)
            queue.clear()
            queue.extend(job for job in jobs if job not in gone)
        return excess
