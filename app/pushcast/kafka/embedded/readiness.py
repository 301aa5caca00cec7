"""When a cluster is ready: all brokers answer, and the coordinators of groups and transactions are loaded.

A fresh broker creates __consumer_offsets and __transaction_state at first use; without the touch here the first
consumer group waits three seconds and the first idempotent producer logs "Coordinator load in progress".
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pushcast.kafka.embedded.errors import BrokerFailedError
from pushcast.kafka.embedded.properties import INTERNAL_PARTITIONS

TRY_SECONDS = 5
_QUIET: dict[str, Any] = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100}


def wait(
    bootstrap_servers: str, cluster_id: str, brokers: int, check_alive: Callable[[], None], timeout_seconds: float
) -> None:
    """Blocks until the cluster with this id and number of brokers is ready. `check_alive` raises when a broker process
    has ended. Raises BrokerFailedError at the timeout.

    Another cluster that was faster to bind the port answers, too: its id tells it apart until ours has ended.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    import pushcast.kafka.group_questions  # noqa: F401 - half a second of CPU, spent while the broker starts

    deadline = time.monotonic() + timeout_seconds
    admin = AdminClient(_QUIET | {"bootstrap.servers": bootstrap_servers})
    seen = 0
    while seen < brokers:
        check_alive()
        if time.monotonic() >= deadline:
            raise BrokerFailedError(f"{seen} of {brokers} brokers at {bootstrap_servers} after {timeout_seconds:.0f} s")
        with contextlib.suppress(KafkaException):  # not up yet: that is what the loop is for
            found = admin.list_topics(timeout=0.5)
            seen = len(found.brokers) if found.cluster_id == cluster_id else 0
    with ThreadPoolExecutor(1) as pool:  # a loop of its own: the caller may be inside one
        pool.submit(asyncio.run, _touch_coordinators(bootstrap_servers, deadline, check_alive)).result()


async def _touch_coordinators(bootstrap_servers: str, deadline: float, check_alive: Callable[[], None]) -> None:
    """Through aiokafka: while a coordinator is not there yet, confluent-kafka 2.16 aborts, ends in a segmentation fault
    or, when its client is collected, joins a thread for ever that never ends."""
    await asyncio.gather(
        _until(deadline, check_alive, "the group coordinator", lambda: _ask_for_offsets(bootstrap_servers)),
        _until(deadline, check_alive, "the transaction coordinator", lambda: _begin_producer(bootstrap_servers)),
    )


async def _ask_for_offsets(bootstrap_servers: str) -> None:
    """Needs each group's coordinator loaded, and leaves nothing behind."""
    from pushcast.kafka.group_questions import GroupLink, connecting

    link = GroupLink(connecting({"bootstrap_servers": bootstrap_servers}))
    try:
        for group in groups_of_all_partitions(INTERNAL_PARTITIONS):
            await link.commits(group, [(group, 0)])  # of no topic: it is the group's own answer that counts
    finally:
        await link.close()


async def _begin_producer(bootstrap_servers: str) -> None:
    from aiokafka import AIOKafkaProducer

    producer: Any = AIOKafkaProducer(  # type: ignore[no-untyped-call]
        bootstrap_servers=bootstrap_servers, transactional_id="pushcast-warm-up"
    )
    try:
        await producer.start()
    finally:
        await producer.stop()


async def _until(
    deadline: float, check_alive: Callable[[], None], what: str, touch: Callable[[], Awaitable[None]]
) -> None:
    from aiokafka.errors import KafkaError

    while True:
        try:
            return await asyncio.wait_for(touch(), TRY_SECONDS)
        except (KafkaError, TimeoutError, OSError) as error:
            check_alive()
            if time.monotonic() >= deadline:
                raise BrokerFailedError(f"{what} did not answer in time: {error!r}") from error
            await asyncio.sleep(0.05)


def groups_of_all_partitions(partitions: int) -> list[str]:
    """One group name for each partition of __consumer_offsets, in partition order."""
    names: dict[int, str] = {}
    number = 0
    while len(names) < partitions:
        name = f"pushcast-warm-up-{number}"
        names.setdefault(group_partition(name, partitions), name)
        number += 1
    return [names[partition] for partition in sorted(names)]


def group_partition(group: str, partitions: int) -> int:
    """Where the broker keeps a group: the absolute value of Java's String.hashCode (0 for the smallest int), modulo
    (`partitionFor` in Kafka's GroupCoordinatorService)."""
    code = 0
    for letter in group:  # ASCII names: a letter is one UTF-16 unit
        code = (31 * code + ord(letter)) & 0xFFFFFFFF
    signed = code - (1 << 32) if code >= 1 << 31 else code
    return (0 if signed == -(1 << 31) else abs(signed)) % partitions
