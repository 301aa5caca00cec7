"""Kafka's client writes a record twice; who reads it leaves the second one out."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from flow.kafka_tools import DEADLINE_SECONDS
from pushcast.handover.copies import Copies
from pushcast.handover.looking_back import look_back
from pushcast.handover.reading import SpanReader
from pushcast.kafka import embedded
from pushcast.kafka.embedded import ports
from pushcast.kafka.embedded.ports import HOST
from pushcast.kafka.headers import headers_of
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.batch import TP, Committed
from pushcast.wire import headers as h
from twins.doubtful_link import DoubtfulLink

TOPIC = "copied"
ORIGIN = h.origin("plan-urgent", 0, 7)


def start_broker(data: Path, reached_at: int) -> tuple[int, int]:
    """The port of the broker itself, and the one that the link has to go to."""
    plain, controller, inner = ports.choose(3, random.SystemRandom())
    data.mkdir()
    (data / "extra.properties").write_text(
        f"listeners=PLAINTEXT://{HOST}:{plain},CONTROLLER://{HOST}:{controller},LINK://{HOST}:{inner}\n"
        f"advertised.listeners=PLAINTEXT://{HOST}:{plain},LINK://{HOST}:{reached_at}\n"
        f"controller.quorum.voters=1@{HOST}:{controller}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LINK:PLAINTEXT\n"
    )
    embedded.start(data_dir=data, port=plain)
    return plain, inner


async def until(event: Any) -> None:
    assert await asyncio.to_thread(event.wait, DEADLINE_SECONDS)


async def test_a_record_that_kafkas_client_wrote_twice_is_known_as_a_copy(tmp_path: Path) -> None:
    link = DoubtfulLink(TOPIC, b"lost", b"refused", b"passed")
    data = tmp_path / "kafka"
    with link.listening() as reached_at:
        plain, link.port = start_broker(data, reached_at)
        try:
            bare = f"{HOST}:{plain}"
            admin = AdminClient({"bootstrap.servers": bare})
            admin.create_topics([NewTopic(TOPIC, 2, 1)])[TOPIC].result(DEADLINE_SECONDS)
            await write(f"{HOST}:{reached_at}", link)
            found: list[tuple[int, bytes, bool]] = []
            copies = Copies()

            def read(message: Any) -> None:
                headers, value, offset = headers_of(message), message.value(), message.offset()
                found.append((offset, value, copies.is_copy(headers, value, offset)))

            reader = SpanReader(bare)
            ends = await reader.ends([(TOPIC, 0)])
            await reader.read({(TOPIC, 0): (0, ends[TOPIC, 0])}, read)
            assert found == [(0, b"lost", False), (1, b"lost", True)]  # the day this is one record, `copies` may go
            successors = Copies()
            await look_back(reader, {TP(TOPIC, 0): Committed(1, "")}, lambda _: successors)
            assert successors.is_copy(ORIGIN, b"lost", 1)
        finally:
            await asyncio.to_thread(embedded.stop, data)


async def write(servers: str, link: DoubtfulLink) -> None:
    loop, failures = asyncio.get_running_loop(), list[BaseException]()
    outbox = KafkaOutbox(servers, loop=loop, on_fatal=failures.append)
    try:
        first = outbox.barrier()
        outbox.put(first, TOPIC, 1, b"first", None, ORIGIN)
        await first.wait()
        barrier = outbox.barrier()
        outbox.put(barrier, TOPIC, 0, b"lost", None, ORIGIN)
        await until(link.tried_again)
        outbox.put(barrier, TOPIC, 1, b"refused", None, ORIGIN)
        await until(link.holds)
        outbox.put(barrier, TOPIC, 1, b"passed", None, ORIGIN)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await barrier.wait()
    finally:
        assert await outbox.close() == 0
    assert failures == []
