"""The thread that polls the producer must not die unnoticed: nothing would ever be acknowledged again."""

from __future__ import annotations

import asyncio

from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.errors import OutboxFailed


class BrokenProducer:
    """A client whose poll fails inside the library."""

    def poll(self, _timeout: float) -> int:
        raise SystemError("exception <class 'str'> is not a BaseException subclass")


async def test_a_poll_that_fails_ends_the_process_instead_of_waiting_for_ever() -> None:
    told: asyncio.Queue[BaseException] = asyncio.Queue()
    outbox = KafkaOutbox(
        "127.0.0.1:1", loop=asyncio.get_running_loop(), on_fatal=told.put_nowait, extra={"log_level": 0}
    )
    try:
        outbox._writers._poll(BrokenProducer())  # type: ignore[arg-type]
        error = await asyncio.wait_for(told.get(), 5)
    finally:
        outbox._writers.close()
    assert isinstance(error, OutboxFailed)
    assert "poll thread" in str(error)


class AcknowledgedWithoutOffset:
    """The report of a resent batch that the broker had already."""

    def __len__(self) -> int:
        return 5

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> None:
        return None


async def test_an_acknowledgement_without_an_offset_proves_nothing_and_ends_the_process() -> None:
    told: asyncio.Queue[BaseException] = asyncio.Queue()
    outbox = KafkaOutbox(
        "127.0.0.1:1", loop=asyncio.get_running_loop(), on_fatal=told.put_nowait, extra={"log_level": 0}
    )
    try:
        barrier = outbox.barrier()
        barrier.puts = 1
        barrier.delivered(None, AcknowledgedWithoutOffset())  # type: ignore[arg-type]
        assert "without an offset" in str(await asyncio.wait_for(told.get(), 5))
        assert barrier.reports == 0
    finally:
        outbox._writers.close()
