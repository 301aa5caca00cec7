"""Requests that come back without an answer: the server did not process them, or nobody wants them any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pushcast.http2.answers import Answers
from pushcast.http2.frames import CANCEL
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Kind, RequestJob
from pushcast.http2.streams import Streams


class Returns:
    """`has_work` is called when requests wait again."""

    __slots__ = ("_answers", "_has_work", "_max_refusals", "_queue", "_streams")

    def __init__(
        self, queue: WorkQueue, streams: Streams, answers: Answers, max_refusals: int, has_work: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._streams = streams
        self._answers = answers
        self._max_refusals = max_refusals
        self._has_work = has_work

    def beyond(self, last_id: int) -> None:
        """GOAWAY: the server processed no stream above `last_id`."""
        self._give_back([stream_id for stream_id in self._streams.in_flight if stream_id > last_id])

    def refused(self, stream_id: int) -> None:
        """REFUSED_STREAM: waits again, and ends as REFUSED when that happened too often."""
        burst = self._streams.in_flight[stream_id]
        job = burst.job
        index = burst.indices[(stream_id - burst.first_id) >> 1]
        refusals = job.refusals[index] = job.refusals.get(index, 0) + 1
        if refusals <= self._max_refusals:
            self._give_back((stream_id,))
        else:
            self._answers.abandon(stream_id, Kind.REFUSED, "reset:REFUSED_STREAM")

    def cancel(self, job: RequestJob, indices: Iterable[int]) -> None:
        """Ends those of `indices` that are out, as UNKNOWN "cancelled", and frees their streams."""
        for stream_id in self._streams.of(job, set(indices)):
            self._answers.reset(stream_id, CANCEL, Kind.UNKNOWN, "cancelled")

    def _give_back(self, stream_ids: Iterable[int]) -> None:
        for job, indices in self._answers.withdraw(stream_ids).items():
            self._queue.give_back(job, indices)
        self._has_work()
