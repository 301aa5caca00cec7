"""Marks of what was cancelled, of one partition: bounded in memory whatever producers write. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict, deque
from hashlib import blake2b
from typing import Final

MARK_BYTES: Final = 16
#: Notification ids that are remembered of one partition: about 8 MB.
MAX_MARKS: Final = 200_000
#: Threads that are remembered of one partition.
MAX_THREAD_MARKS: Final = 20_000
_BUCKETS: Final = 256


def mark_of(user: str, notification_id: str) -> bytes:
    """16 bytes that stand for a notification of a user, in whatever apps."""
    return blake2b(f"{user}\0{notification_id}".encode(), digest_size=MARK_BYTES).digest()


def thread_mark_of(user: str, app: str, thread: str) -> bytes:
    """16 bytes that stand for a user's thread in one app."""
    return blake2b(f"{user}\0{app}\0{thread}".encode(), digest_size=MARK_BYTES, person=b"thread").digest()


class Marks:
    """What of one partition must not leave. Times are milliseconds since the epoch.

    Ids lie as sorted 16-byte blocks, 40 bytes each with their time. Beyond the limits the oldest go, counted in
    `evicted`: what they named may leave again.
    """

    def __init__(self, limit: int = MAX_MARKS, thread_limit: int = MAX_THREAD_MARKS) -> None:
        self.evicted = 0
        self._limit = limit
        self._thread_limit = thread_limit
        self._buckets = [_Bucket() for _ in range(_BUCKETS)]
        self._order: deque[bytes] = deque()  # marks by when they came first
        self._threads: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # created before, until

    def __len__(self) -> int:
        return len(self._order) + len(self._threads)

    def add(self, mark: bytes, until_ms: int, now_ms: int) -> None:
        """Cancels one notification until then; a later word replaces an earlier one. Lets go of one that is over."""
        bucket = self._buckets[mark[0]]
        if not bucket.put(mark, until_ms):
            self._order.append(mark)
        oldest = self._order[0]
        if len(self._order) > self._limit:
            self.evicted += 1
            self._forget_oldest()
        elif self._buckets[oldest[0]].until(oldest) < now_ms:
            self._forget_oldest()

    def add_thread(self, mark: bytes, before_ms: int, until_ms: int) -> None:
        """Cancels what a thread's notifications are that were created at or before `before_ms`."""
        known = self._threads.pop(mark, (0, 0))
        self._threads[mark] = max(known[0], before_ms), max(known[1], until_ms)
        if len(self._threads) > self._thread_limit:
            self.evicted += 1
            self._threads.popitem(last=False)

    def covers(self, mark: bytes, now_ms: int) -> bool:
        """Whether the notification of this mark is cancelled now."""
        return self._buckets[mark[0]].until(mark) >= now_ms

    @property
    def has_threads(self) -> bool:
        """Whether any thread is cancelled: most partitions have none."""
        return bool(self._threads)

    def covers_thread(self, mark: bytes, created_at_ms: int, now_ms: int) -> bool:
        """Whether a notification of this thread, created then, is cancelled now."""
        before_ms, until_ms = self._threads.get(mark, (-1, -1))
        return created_at_ms <= before_ms and now_ms <= until_ms

    def _forget_oldest(self) -> None:
        oldest = self._order.popleft()
        self._buckets[oldest[0]].drop(oldest)


class _Bucket:
    """Marks with one first byte, sorted: as two 64-bit halves, and until when each holds."""

    __slots__ = ("_high", "_low", "_until")

    def __init__(self) -> None:
        self._high: array[int] = array("Q")
        self._low: array[int] = array("Q")
        self._until: array[int] = array("Q")

    def _find(self, mark: bytes) -> tuple[int, bool]:
        """Where the mark is or belongs, and whether it is there."""
        high, low = int.from_bytes(mark[:8], "big"), int.from_bytes(mark[8:], "big")
        at = bisect_left(self._high, high)
        while at < len(self._high) and self._high[at] == high:
            if self._low[at] == low:
                return at, True
            at += 1
        return at, False

    def put(self, mark: bytes, until_ms: int) -> bool:
        """True when it was there already."""
        at, known = self._find(mark)
        if known:
            self._until[at] = until_ms
        else:
            self._high.insert(at, int.from_bytes(mark[:8], "big"))
            self._low.insert(at, int.from_bytes(mark[8:], "big"))
            self._until.insert(at, until_ms)
        return known

    def until(self, mark: bytes) -> int:
        """-1 for one that is not there."""
        at, known = self._find(mark)
        return self._until[at] if known else -1

    def drop(self, mark: bytes) -> None:
        """Forgets one that is there."""
        at, known = self._find(mark)
        if known:
            del self._high[at], self._low[at], self._until[at]
