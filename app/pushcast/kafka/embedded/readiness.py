"""When a cluster is ready: all brokers answer, and the coordinators of groups and transactions are loaded.

A fresh broker creates __consumer_offsets and __transaction_state at first use; without the touch here the first
consumer group waits three seconds and the first idempotent producer logs "Coordinator load in progress".
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as futures_wait
from typing import Any

from pushcast.kafka.embedded.errors import BrokerFailedError
from pushcast.kafka.embedded.properties import INTERNAL_PARTITIONS

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
    with ThreadPoolExecutor(2) as pool:
        touches = [
            pool.submit(_touch_groups, admin, deadline, check_alive),
            pool.submit(_touch_transactions, bootstrap_servers, deadline, check_alive),
        ]
        for touch in touches:
            touch.result()


def _touch_groups(admin: Any, deadline: float, check_alive: Callable[[], None]) -> None:
    # Describing needs each group's coordinator loaded, and leaves nothing behind. (Listing offsets would do too, but
    # confluent-kafka 2.16 ends in a segmentation fault when the coordinator is not there yet.)
    groups = groups_of_all_partitions(INTERNAL_PARTITIONS)
    _until(
        deadline,
        check_alive,
        "the group coordinator",
        lambda: _all_results(admin.describe_consumer_groups(groups, request_timeout=2.0).values()),
    )


def _all_results(futures: Iterable[Future[object]]) -> None:
    """Waits for every answer before any error is raised: a client that is collected while an answer is under way
    deadlocks, because its destructor joins a thread that wants the interpreter (confluent-kafka 2.16)."""
    # The client answers within its request timeout; this one is for a client that does not.
    done, pending = futures_wait(futures, 10.0)
    if pending:
        raise TimeoutError(f"{len(pending)} answers are missing")
    for future in done:
        future.result()


def _touch_transactions(bootstrap_servers: str, deadline: float, check_alive: Callable[[], None]) -> None:
    from confluent_kafka import Producer

    producer = Producer(_QUIET | {"bootstrap.servers": bootstrap_servers, "transactional.id": "pushcast-warm-up"})
    _until(deadline, check_alive, "the transaction coordinator", lambda: producer.init_transactions(5.0))


def _until(deadline: float, check_alive: Callable[[], None], what: str, touch: Callable[[], object]) -> None:
    from confluent_kafka import KafkaException

    while True:
        try:
            touch()
        except (KafkaException, TimeoutError) as error:
            check_alive()
            if time.monotonic() >= deadline:
                raise BrokerFailedError(f"{what} did not answer in time: {error}") from error
            time.sleep(0.05)
        else:
            return


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
