"""The requests of one connection that are out, by stream id, and the outcomes that wait to be handed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pushcast.http2.burst import Burst
from pushcast.http2.queue import WorkQueue, deliver
from pushcast.http2.request import RequestJob, Response


class Streams:
    """`in_flight`, `bursts` and `touched` are for the reading loop to use directly: a call per answer would cost it a
    tenth. Jobs in `touched` have outcomes in their outbox. `count` tells the queue, which all connections share.
    `answers` have come since `measured` was called last, and `answers_sent_at` is the sum of when they had left."""

    __slots__ = ("_counted", "_queue", "answers", "answers_sent_at", "bursts", "in_flight", "next_id", "touched")

    def __init__(self, queue: WorkQueue) -> None:
        self.next_id = 1
        self.in_flight: dict[int, Burst] = {}
        self.bursts: dict[Burst, None] = {}
        self.touched: dict[RequestJob, None] = {}
        self.answers = 0
        self.answers_sent_at = 0.0
        self._queue = queue
        self._counted = 0

    def open(self, job: RequestJob, indices: Sequence[int], now: float) -> Burst:
        """Gives the requests the next stream ids."""
        first = self.next_id
        self.next_id = behind = first + 2 * len(indices)
        burst = Burst(job, indices, first, now)
        self.in_flight.update(dict.fromkeys(range(first, behind, 2), burst))
        self.bursts[burst] = None
        return burst

    def remove(self, stream_id: int) -> tuple[RequestJob, int]:
        """The request of a stream that is over: its job and its index there."""
        burst = self.in_flight.pop(stream_id)
        burst.left -= 1
        if not burst.left:
            del self.bursts[burst]
        return burst.job, burst.indices[(stream_id - burst.first_id) >> 1]

    def finish(self, stream_id: int, response: Response) -> None:
        """The request's outcome."""
        job, index = self.remove(stream_id)
        job.outbox.append((index, response))
        self.touched[job] = None

    def answered(self, stream_id: int, response: Response) -> None:
        """The request's outcome is the peer's answer: it counts for what answers take."""
        self.answers += 1
        self.answers_sent_at += self.in_flight[stream_id].sent_at
        self.finish(stream_id, response)

    def measured(self, now: float) -> tuple[int, float]:
        """How many answers have come since the last time, and the seconds that all of them together took."""
        answers, seconds = self.answers, self.answers * now - self.answers_sent_at
        self.answers, self.answers_sent_at = 0, 0.0
        return answers, seconds

    def end(self, job: RequestJob, indices: Iterable[int], response: Response) -> None:
        """The outcome of requests that never had a stream."""
        job.outbox.extend((index, response) for index in indices)
        self.touched[job] = None

    def of(self, job: RequestJob, indices: set[int]) -> Iterator[int]:
        """Streams of some of a job's requests. Each may be removed while this goes on."""
        for burst in [burst for burst in self.bursts if burst.job is job]:
            for position, index in enumerate(burst.indices):
                stream_id = burst.first_id + 2 * position
                if index in indices and self.in_flight.get(stream_id) is burst:
                    yield stream_id

    def late(self, now: float) -> Iterator[int]:
        """Streams whose deadline has passed. Each may be removed while this goes on."""
        for burst in [burst for burst in self.bursts if burst.sent_at + burst.job.timeout_seconds <= now]:
            for position in range(len(burst.indices)):
                stream_id = burst.first_id + 2 * position
                if self.in_flight.get(stream_id) is burst:
                    yield stream_id

    def count(self) -> None:
        """Brings the queue's count of requests in flight up to date."""
        self._queue.note_in_flight(len(self.in_flight) - self._counted)
        self._counted = len(self.in_flight)

    def deliver(self) -> None:
        """Hands over what has come, one list per job."""
        if self.touched:
            jobs, self.touched = self.touched, {}
            deliver(jobs, self._queue.on_error)
