"""How far topics reach and groups have come, asked of the cluster: one request for many partitions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from pushcast.kafka.clients import open_admin, open_consumer, open_peeker
from pushcast.kafka.log_offsets import LogOffsets
from pushcast.kafka.offsets import TIMEOUT_SECONDS
from pushcast.kafka.steady import Steady

logger = logging.getLogger(__name__)

T = TypeVar("T")

Spot = tuple[str, int]  # topic, partition

#: What a client says of a group's coordinator that gives no answer.
_SILENT = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
#: What a broker says that does not lead the group, or has not loaded it yet.
_LOADING = frozenset(
    {KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR}
)
LOADING_PAUSE_SECONDS: Final = 0.2
#: Of the consumers that are asked about logs: never joined, and never committed to.
GROUP: Final = "pushcast-positions"
#: Of a coordinator that is there; an answer takes milliseconds, on a machine that others keep busy a second.
FIRST_ANSWER_SECONDS: Final = 5.0
#: Each keeps its threads. A process that has met so many silent brokers asks its last client with all patience.
MOST_GIVEN_UP: Final = 8


def unfinished(
    starts: Mapping[Spot, int], ends: Mapping[Spot, int], committed: Mapping[Spot, int]
) -> dict[Spot, tuple[int, int]]:
    """Of each partition what its group has not finished; what retention took is over.

    From this offset, up to and without that one. Pure.
    """
    spans = {spot: (max(starts.get(spot, 0), committed.get(spot, 0)), end) for spot, end in ends.items()}
    return {spot: (first, end) for spot, (first, end) in spans.items() if first < end}


class Members(NamedTuple):
    """Of one consumer group."""

    state: str  # as Kafka has it, in small letters: stable, empty, dead, …
    alive: int


class Positions:
    """Questions to one cluster. Every method blocks, and raises KafkaException without an answer."""

    def __init__(
        self,
        admin: AdminClient,
        reader: Callable[[], Consumer],
        peeker: Callable[[], Consumer],
        *,
        wary: bool = False,
        anew: Callable[[], AdminClient] | None = None,
    ) -> None:
        """`admin` is asked about groups, a consumer about logs: `reader` opens one that sees what is committed,
        `peeker` one that sees open transactions, too. `wary` and `anew`: see `open_positions`."""
        self._admin = admin
        self._wary = wary
        self._anew = anew
        self._steady = Steady(admin) if wary else None
        # Never collected: a client with a question under way was seen to wait for ever for one of its threads.
        self._given_up: list[AdminClient] = []
        self._has_answered = True  # the client about groups; the first one is trusted to
        self._logs = LogOffsets(reader, self._look_out)
        self._written = LogOffsets(peeker, self._look_out)

    def starts(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """First offset that is there. Partitions that do not exist are left out."""
        return self._logs.offsets(dict.fromkeys(spots, OFFSET_BEGINNING))

    def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Where what is committed ends. Partitions that do not exist are left out."""
        return self._logs.offsets(dict.fromkeys(spots, OFFSET_END))

    def written(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Next offset to be written, open transactions included. Partitions that do not exist are left out."""
        return self._written.offsets(dict.fromkeys(spots, OFFSET_END))

    def at(self, times_ms: Mapping[Spot, int]) -> dict[Spot, int]:
        """First offset of each partition's time or later. Partitions that have none are left out."""
        found = self._logs.offsets(times_ms)
        return {spot: offset for spot, offset in found.items() if offset >= 0}

    def committed(self, group: str, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Where the group goes on, for partitions in which it has committed; it needs no member for that."""
        return {spot: at.offset for spot, at in self._commits(group, spots).items()}

    def metadata(self, group: str, spots: Iterable[Spot]) -> dict[Spot, str]:
        """What the group committed beside its offsets; bytes of no meaning may follow it, which the client adds."""
        return {spot: _metadata(at) for spot, at in self._commits(group, spots).items()}

    def _commits(self, group: str, spots: Iterable[Spot]) -> dict[Spot, TopicPartition]:
        wanted = [TopicPartition(*spot) for spot in spots]
        if not wanted:
            return {}
        self._look_out()
        asked = [ConsumerGroupTopicPartitions(group, wanted)]

        def ask(admin: AdminClient, timeout_seconds: float) -> list[TopicPartition]:
            _await_coordinator(group, admin, timeout_seconds)
            [future] = admin.list_consumer_group_offsets(asked, request_timeout=timeout_seconds).values()
            answered: list[TopicPartition] = future.result().topic_partitions
            return answered

        try:
            found = self._ask_coordinators([group], ask)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
        return {(at.topic, at.partition): at for at in found if at.error is None and at.offset >= 0}

    def members(self, groups: Collection[str]) -> dict[str, Members]:
        """State and members of each group; one that the cluster does not know is dead."""
        if not groups:
            return {}
        self._look_out()
        return self._ask_coordinators(groups, partial(_members, groups))

    def _ask_coordinators(self, groups: Collection[str], ask: Callable[[AdminClient, float], T]) -> T:
        """What `ask` says with a client, given a time-out in seconds.

        An admin client of librdkafka 2.16 that had asked for a group before its only broker was killed, and nothing
        while it was away, gets no answer about groups afterwards: none in 75 s on a bare broker, which told the same
        client its topics and other clients the groups (tests/flow/test_broker_outage.py). So the first try is short,
        and the second one is a new client's. While that one has no answer either, no third is opened: a long outage
        costs one client.
        """
        if self._anew is not None and self._has_answered and len(self._given_up) < MOST_GIVEN_UP:
            try:
                return ask(self._admin, FIRST_ANSWER_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in _SILENT:
                    raise
                if error.args[0].code() not in _LOADING:
                    logger.info("%s: %s: asked again with a new client", _few(groups), error.args[0].str())
                    self._renew(self._anew)
        try:
            found = ask(self._admin, TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() not in _SILENT:
                self._has_answered = True
                raise
            text = (
                f"the coordinator of {_few(groups)} does not answer within {TIMEOUT_SECONDS:.0f} s: "
                f"a broker that was just started loads its groups first ({error.args[0].str()})"
            )
            raise KafkaException(KafkaError(error.args[0].code(), text)) from error
        self._has_answered = True
        return found

    def _renew(self, anew: Callable[[], AdminClient]) -> None:
        self._given_up.append(self._admin)
        self._admin = anew()
        self._steady = Steady(self._admin) if self._wary else None
        self._has_answered = False
        self._look_out()

    def _look_out(self) -> None:
        if self._steady is not None:
            self._steady.require()


def open_positions(client: Mapping[str, Any], *, wary: bool = False, lasting: bool = False) -> Positions:
    """`client`: from `client_config`. `wary`: asks nothing while the cluster is not whole (`steady`): for roles, which
    must not die of a look. `lasting`: opens another client of groups, for whoever may outlive a broker."""
    opened = partial(open_admin, client)
    reader, peeker = partial(open_consumer, client, GROUP), partial(open_peeker, client, GROUP)
    return Positions(opened(), reader, peeker, wary=wary, anew=opened if lasting else None)


def _metadata(at: TopicPartition) -> str:
    """confluent-kafka 2.16 reads what an admin client was told up to the next zero byte, wherever that is, so what
    follows the metadata may be no UTF-8."""
    try:
        return at.metadata or ""
    except UnicodeDecodeError as error:
        return error.object.decode(errors="replace")


def _await_coordinator(group: str, admin: AdminClient, timeout_seconds: float) -> None:
    """Blocks while the group's coordinator is not there yet. Raises KafkaException.

    An admin client of librdkafka 2.16 that is answered NOT_COORDINATOR to its question about offsets ends the process:
    it follows the pointer to a consumer group that it does not have (rd_kafka_cgrp_op, seen in a settler just after
    its broker was back). The question about members is another one, and harmless.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        [future] = admin.describe_consumer_groups([group], request_timeout=timeout_seconds).values()
        try:
            future.result()
        except KafkaException as error:
            code = error.args[0].code()
            # Either says its coordinator, or a broker that does not know the question, as librdkafka's mock.
            if code in (KafkaError.GROUP_ID_NOT_FOUND, KafkaError._UNSUPPORTED_FEATURE):
                return
            if code not in _LOADING or time.monotonic() >= deadline:
                raise
            time.sleep(LOADING_PAUSE_SECONDS)
        else:
            return


def _members(groups: Collection[str], admin: AdminClient, timeout_seconds: float) -> dict[str, Members]:
    found: dict[str, Members] = {}
    for group, future in admin.describe_consumer_groups(list(groups), request_timeout=timeout_seconds).items():
        try:
            described = future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            found[group] = Members("dead", 0)
        else:
            found[group] = Members(described.state.name.lower(), len(described.members))
    return found


def _few(groups: Collection[str]) -> str:
    first, more = min(groups), len(groups) - 1
    return f"group {first}" + (f" and {more} more" if more else "")
