"""The sender's ledger on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from flow.kafka_tools import create_topic, produce
from pushcast.handover.claims import ClaimRefused
from pushcast.handover.ledgers import LedgerEnd, Ledgers
from pushcast.handover.reading import SpanReader, TailUnreadable
from pushcast.handover.standing import decode
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.batch import TP, Committed
from pushcast.wire.answers import ledger
from pushcast.wire.headers import LEDGER, first

GROUP, HERE = "senders", TP("send", 1)
A, B, C = bytes(16), b"\1" * 16, b"\2" * 16


def read(headers: Iterable[tuple[str, bytes | None]], _: bytes | None) -> LedgerEnd | None:
    found = ledger.parse(first(headers, LEDGER) or b"")
    return LedgerEnd(found.send_offset, (found.delivery_id,)) if found.group == GROUP else None


class Coordinator:
    """Takes the claim, or refuses it."""

    def __init__(self, ledgers: Ledgers, offset: int, *, owner: bool = True) -> None:
        self.ledgers, self.offset, self.owner = ledgers, offset, owner
        self.metadata = ""

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        assert list(partitions) == [HERE]
        self.metadata = self.ledgers.metadata(HERE, self.offset, {})
        return self.owner


async def test_a_new_owner_knows_the_outcomes_of_what_is_not_committed(
    kafka: str, unique: Callable[[str], str]
) -> None:
    receipts, retries = create_topic(kafka, unique("receipts")), create_topic(kafka, unique("retries"))
    failures: list[BaseException] = []
    outbox, reader = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append), SpanReader(kafka)
    ready = False
    async with asyncio.timeout(30):
        while not ready:  # a topic just made has no leader for a moment; in an App the transport tries again
            with contextlib.suppress(TailUnreadable):
                ready = bool(await reader.ends([(receipts, 1), (retries, 1)]))

    def owner() -> Ledgers:
        return Ledgers({receipts: read, retries: read}, outbox=outbox, reader=reader)

    async def end(topic: str, group: str, offset: int, delivery_id: bytes) -> None:
        barrier = outbox.barrier()
        outbox.put(barrier, topic, 1, b"", None, [(LEDGER, ledger.encode(group, offset, delivery_id))])
        await asyncio.wait_for(barrier.wait(), 20)

    await end(receipts, GROUP, 7, C)  # before the first claim: a release without a ledger wrote it
    old = owner()
    claim = Coordinator(old, 5)
    await asyncio.wait_for(old.take_over(claim, {HERE: Committed(5, "")}), 30)
    assert decode(claim.metadata).positions == {receipts: 1, retries: 0}
    assert old.begin(HERE, 5) == set()
    await end(receipts, GROUP, 5, A)
    await end(retries, GROUP, 6, B)
    await end(receipts, "others", 5, B)

    new = owner()
    await asyncio.wait_for(new.take_over(Coordinator(new, 5), {HERE: Committed(5, claim.metadata)}), 30)
    assert (new.begin(HERE, 5), new.begin(HERE, 6), new.begin(HERE, 7)) == ({A}, {B}, set())
    assert decode(new.metadata(HERE, 6, {})).positions == {receipts: 1, retries: 0}
    assert decode(new.metadata(HERE, 7, {})).positions == {receipts: 3, retries: 1}

    stranger = owner()
    with pytest.raises(ClaimRefused):
        await stranger.take_over(Coordinator(stranger, 5, owner=False), {HERE: Committed(5, claim.metadata)})
    await outbox.close(5.0)
    assert not failures


async def test_a_tail_that_retention_took_whole_is_read_and_not_waited_for(
    kafka: str, unique: Callable[[str], str]
) -> None:
    topic = create_topic(kafka, unique("retries"))
    produce(kafka, topic, [(1, None, b"old"), (1, None, b"old")])
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_records([TopicPartition(topic, 1, 2)]).values():
        future.result(10)
    found: list[bytes | None] = []
    reader = SpanReader(kafka)
    assert await reader.ends([(topic, 1)]) == {(topic, 1): 2}
    await asyncio.wait_for(reader.read({(topic, 1): (0, 2)}, lambda message: found.append(message.value())), 30)
    produce(kafka, topic, [(1, None, b"new")])
    await asyncio.wait_for(reader.read({(topic, 1): (1, 3)}, lambda message: found.append(message.value())), 30)
    assert found == [b"new"]
