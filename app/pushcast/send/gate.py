"""Whether anything may leave a sender now: it owns its partitions, can write outcomes, and is not giving any back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pushcast.send.lease import Lease
from pushcast.send.proof import Proof
from pushcast.stream.ports import CallLater

#: After the first notice that a partition goes. What has left by then is answered, or given up, before it is gone.
LAST_LEAVING_SECONDS: Final = 1.0


class Gate:
    """Of one stage. `heartbeat_at`: when the coordinator last answered, for the lease."""

    def __init__(self, lease: Lease, proof: Proof, heartbeat_at: Callable[[], float], later: CallLater) -> None:
        self._lease = lease
        self._proof = proof
        self._heartbeat_at = heartbeat_at
        self._later = later
        self._revoking = 0
        self._closed = False

    def is_ours(self) -> bool:
        """Whether what is answered now may be passed on: no other process can own the partitions yet."""
        return not self._closed and self._lease.holds(self._heartbeat_at())

    def may_leave(self) -> bool:
        """Whether targets may be handed to a provider, and written by it."""
        return self.is_ours() and self._proof.may_leave()

    def is_fresh(self) -> bool:
        """Whether Kafka answers: without it nobody is judged slow."""
        return self._lease.is_fresh(self._heartbeat_at())

    @contextmanager
    def closing(self) -> Iterator[None]:
        """While partitions are given back. After a second nothing leaves until that is over: what leaves late, because
        it waited for a slow provider, would be cut off before its answer and be sent twice."""
        timer = self._later(LAST_LEAVING_SECONDS, self._close)
        self._revoking += 1
        try:
            yield
        finally:  # also when the wait within is cancelled
            timer.cancel()
            self._revoking -= 1
            self._closed = self._closed and self._revoking > 0

    def _close(self) -> None:
        self._closed = True
