"""A sender that gets its partitions anew while its own outcomes wait for Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from pushcast.handover.ledgers import LedgerEnd, Ledgers
from pushcast.stream.batch import TP, Committed
from pushcast.wire.answers import ledger
from pushcast.wire.headers import LEDGER, PROBE, first
from twins.handover import Log, Process
from twins.kafka import settled

GROUP, HERE, THERE = "senders", TP("send", 1), TP("send", 2)
A = b"\1" * 16


def read(headers: Iterable[tuple[str, bytes | None]], _: bytes | None) -> LedgerEnd | None:
    said = first(headers, LEDGER)
    if said is None:
        return None
    found = ledger.parse(said)
    return LedgerEnd(found.send_offset, (found.delivery_id,))


class Outbox(Process):
    """`refused_now`: topics that Kafka does not take."""

    refused_now: tuple[str, ...] = ()

    def refused(self) -> tuple[str, ...]:
        return self.refused_now

    def refused_topics(self, partition: int) -> tuple[str, ...]:
        return self.refused_now

    def doubt(self, topic: str, partition: int, reason: str) -> None:
        raise AssertionError


class Owner:
    """Of whom Kafka takes every claim."""

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        return True


def made() -> tuple[Outbox, Ledgers]:
    log = Log(HERE.partition)
    outbox = Outbox(log)
    outputs = {"receipts": read, "retries": read}
    return outbox, Ledgers(outputs, outbox=cast(Any, outbox), reader=cast(Any, log))


def write(outbox: Outbox) -> None:
    """An outcome of delivery A, of the send record 5 of HERE."""
    headers = [(LEDGER, ledger.encode(GROUP, 5, A))]
    outbox.put(outbox.barrier(), "receipts", HERE.partition, b"", None, headers)


async def test_outcomes_that_wait_for_kafka_are_waited_for_when_the_same_process_gets_the_partition_again() -> None:
    outbox, ledgers = made()
    await ledgers.take_over(Owner(), {HERE: Committed(5, "")})
    standing = ledgers.metadata(HERE, 5)
    assert ledgers.begin(HERE, 5) == set()
    write(outbox)
    again = asyncio.ensure_future(ledgers.take_over(Owner(), {HERE: Committed(5, standing)}))
    await settled()
    assert not again.done()
    for _ in range(3):  # the outcome, and a marker in each topic
        outbox.acknowledge()
    await again
    assert ledgers.begin(HERE, 5) == {A}
    assert [(each.topic, each.value, each.headers) for each in outbox.log[1:]] == [
        (topic, None, [(PROBE, b"1")]) for topic in ("receipts", "retries")
    ]


async def test_a_process_that_never_had_the_partition_writes_nothing() -> None:
    outbox, ledgers = made()
    await ledgers.take_over(Owner(), {HERE: Committed(5, "")})
    await ledgers.take_over(Owner(), {THERE: Committed(5, "")})
    assert (outbox.log, outbox.pending) == ([], [])


async def test_a_topic_that_kafka_refuses_is_not_waited_for() -> None:
    outbox, ledgers = made()
    await ledgers.take_over(Owner(), {HERE: Committed(5, "")})
    outbox.refused_now = ("receipts", "retries")
    await ledgers.take_over(Owner(), {HERE: Committed(5, "")})
    assert outbox.pending == []
