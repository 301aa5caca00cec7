"""Every private name of Faust, mode and aiokafka that `pushcast.kafka` overrides, calls or reads.

A new version of either that changes one of them fails here, not in production. When it does: read the new source of
the name, mend the subclass, then the line here, then the pinned version.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import aiokafka
import aiokafka.consumer.fetcher
import aiokafka.consumer.group_coordinator
import aiokafka.consumer.subscription_state
import aiokafka.protocol.fetch
import faust.app.base
import faust.stores.rocksdb
import faust.tables.manager
import faust.tables.recovery
import faust.tables.table
import faust.transport.base
import faust.transport.consumer
import faust.transport.drivers.aiokafka as driver
import mode
import mode.threads
import pytest
from faust.assignor.partition_assignor import PartitionAssignor

from pushcast.transport import consumer, store, table, thread, transport


@pytest.mark.parametrize(
    ("distribution", "pinned"), [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0"), ("mode-streaming", "0.7.1")]
)
def test_the_versions_are_those_that_were_read(distribution: str, pinned: str) -> None:
    assert version(distribution) == pinned


SIGNATURES: list[tuple[Any, str, list[str]]] = [
    # overridden
    (driver.Consumer, "_new_consumer_thread", ["self"]),
    (driver.Consumer, "_drain_messages", ["self", "fetcher"]),
    (driver.Consumer, "_commit_offsets", ["self", "offsets", "start_new_transaction"]),
    (driver.Consumer, "force_commit", ["self", "topics", "start_new_transaction"]),
    (driver.Consumer, "perform_seek", ["self"]),
    (driver.Consumer, "wait_empty", ["self"]),
    (driver.Consumer, "on_partitions_revoked", ["self", "revoked"]),
    (driver.Consumer, "verify_all_partitions_active", ["self"]),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
    (driver.AIOKafkaConsumerThread, "_commit", ["self", "offsets"]),
    (driver.AIOKafkaConsumerThread, "on_start", ["self"]),
    (driver.AIOKafkaConsumerThread, "on_partitions_assigned", ["self", "assigned", "generation_id"]),
    (driver.Producer, "_settings_extra", ["self"]),
    (faust.tables.manager.TableManager, "on_start", ["self"]),
    (faust.tables.table.Table, "_new_store_by_url", ["self", "url"]),
    (faust.tables.table.Table, "_changelog_topic_name", ["self"]),
    (faust.tables.table.Table, "on_rebalance", ["self", "assigned", "revoked", "newly_assigned", "generation_id"]),
    (faust.stores.rocksdb.Store, "_open_for_partition", ["self", "partition"]),
    (faust.stores.rocksdb.Store, "persisted_offset", ["self", "tp"]),
    (faust.stores.rocksdb.Store, "set_persisted_offset", ["self", "tp", "offset"]),
    (faust.stores.rocksdb.Store, "revoke_partitions", ["self", "table", "tps"]),
    (faust.stores.rocksdb.Store, "stop", ["self"]),
    # called
    (driver.Consumer, "_to_message", ["self", "tp", "record"]),
    (driver.Consumer, "_commit", ["self", "offsets"]),
    (driver.Consumer, "position", ["self", "tp"]),
    (driver.Consumer, "highwater", ["self", "tp"]),
    (driver.Consumer, "highwaters", ["self", "partitions"]),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
    (
        driver.AIOKafkaConsumerThread,
        "_fetch_records",
        ["self", "consumer", "active_partitions", "timeout", "max_records"],
    ),
    (mode.threads.QueueServiceThread, "call_thread", ["self", "fun", "args", "kwargs"]),
    (faust.tables.manager.TableManager, "_update_channels", ["self"]),
    (faust.tables.manager.TableManager, "on_standbys_ready", ["self"]),
    (faust.tables.recovery.Recovery, "_wait", ["self", "coro", "timeout"]),
    (faust.tables.recovery.Recovery, "_set_recovery_started", ["self"]),
    (faust.tables.recovery.Recovery, "_resume_streams", ["self", "generation_id"]),
    (faust.tables.recovery.Recovery, "on_recovery_completed", ["self", "generation_id"]),
    (faust.tables.recovery.Recovery, "need_recovery", ["self"]),
    (faust.tables.recovery.Recovery, "active_remaining", ["self"]),
    (faust.tables.recovery.Recovery, "standby_remaining_total", ["self"]),
    (faust.stores.rocksdb.Store, "_db_for_partition", ["self", "partition"]),
    (faust.stores.rocksdb.Store, "partition_path", ["self", "partition"]),
    (aiokafka.consumer.group_coordinator.GroupCoordinator, "fetch_committed_offsets", ["self", "partitions"]),
    (aiokafka.consumer.group_coordinator.GroupCoordinator, "_do_heartbeat", ["self"]),
    (aiokafka.consumer.group_coordinator.GroupCoordinator, "_do_rejoin_group", ["self", "subscription"]),
    (aiokafka.consumer.group_coordinator.GroupCoordinator, "reset_generation", ["self"]),
    (aiokafka.consumer.group_coordinator.GroupCoordinator, "_push_error_to_user", ["self", "exc"]),
    (aiokafka.consumer.group_coordinator.GroupCoordinator, "_do_commit_offsets", ["self", "assignment", "offsets"]),
    (aiokafka.consumer.fetcher.Fetcher, "_notify", ["self", "future"]),
    (aiokafka.consumer.fetcher.Fetcher, "_get_actions_per_node", ["self", "assignment"]),
    (aiokafka.consumer.fetcher.FetchResult, "calculate_backoff", ["self"]),
    (aiokafka.consumer.fetcher.FetchResult, "getall", ["self", "max_records"]),
    (aiokafka.consumer.fetcher.FetchResult, "check_assignment", ["self", "tp"]),
    (aiokafka.consumer.fetcher.Fetcher, "_set_error", ["self", "tp", "error"]),
    (aiokafka.consumer.fetcher.Fetcher, "seek_to", ["self", "tp", "offset"]),
    (aiokafka.consumer.fetcher.Fetcher, "fetched_records", ["self", "partitions", "timeout", "max_records"]),
    (aiokafka.AIOKafkaConsumer, "commit", ["self", "offsets"]),
    (aiokafka.AIOKafkaConsumer, "beginning_offsets", ["self", "partitions"]),
]


@pytest.mark.parametrize(("owner", "name", "parameters"), SIGNATURES, ids=lambda each: getattr(each, "__name__", None))
def test_the_signature_is_the_one_that_was_read(owner: Any, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


COROUTINES = [
    (
        driver.Consumer,
        ["_drain_messages", "force_commit", "highwaters", "perform_seek", "wait_empty", "on_partitions_revoked"],
    ),
    (driver.AIOKafkaConsumerThread, ["_commit", "_fetch_records", "on_partitions_assigned"]),
    (
        aiokafka.consumer.group_coordinator.GroupCoordinator,
        ["_do_commit_offsets", "_do_heartbeat", "_do_rejoin_group", "fetch_committed_offsets"],
    ),
    (aiokafka.consumer.fetcher.Fetcher, ["fetched_records"]),
]


@pytest.mark.parametrize(("owner", "names"), COROUTINES)
def test_what_is_awaited_is_a_coroutine(owner: Any, names: list[str]) -> None:
    assert [name for name in names if not inspect.iscoroutinefunction(getattr(owner, name))] == []


#: Attributes that are set in methods: the source must still assign them.
ASSIGNED: list[tuple[Any, list[str]]] = [
    (
        faust.transport.consumer.Consumer,
        [
            "self._read_offset =",
            "self._committed_offset =",
            "self.suspend_flow =",
            "self.can_resume_flow =",
            "self.flow_active =",
            "self._active_partitions =",
        ],
    ),
    (faust.transport.consumer.ThreadDelegateConsumer, ["self._thread =", "self._method_queue ="]),
    (driver.AIOKafkaConsumerThread, ["self._consumer ="]),
    (
        aiokafka.AIOKafkaConsumer,
        [
            "self._coordinator =",
            "self._fetcher =",
            "self._subscription =",
            "self._fetch_max_wait_ms =",
            "self._group_instance_id =",
        ],
    ),
    (
        aiokafka.consumer.fetcher.Fetcher,
        [
            "self._fetch_waiters =",
            "self._records =",
            "self._fetch_max_wait_ms =",
            "self._max_partition_fetch_bytes =",
            "self._client =",
            "self._fetch_task =",
        ],
    ),
    (
        aiokafka.protocol.fetch.FetchRequest,
        [
            "self._max_wait_ms =",
            "self._min_bytes =",
            "self._max_bytes =",
            "self._isolation_level =",
            "self._topics =",
            "self._rack_id =",
        ],
    ),
    (mode.threads.ServiceThread, ["self.thread_loop = thread_loop or", "self._close_thread_loop_on_stop ="]),
    (
        aiokafka.consumer.fetcher.FetchResult,
        ["self._backoff =", "self._partition_records =", "self._topic_partition ="],
    ),
    (aiokafka.consumer.subscription_state.SubscriptionState, ["self._subscription ="]),
    (faust.tables.manager.TableManager, ["self._changelogs =", "self.standbys_ready ="]),
    (
        faust.tables.recovery.Recovery,
        [
            "self.active_tps =",
            "self.standby_tps =",
            "self.active_offsets =",
            "self.standby_offsets =",
            "self.active_highwaters =",
            "self.in_recovery =",
        ],
    ),
    (faust.stores.rocksdb.Store, ["self._dbs ="]),
    (faust.tables.table.Table.__mro__[2], ["self._changelog_topic =", "self.recovery_buffer_size ="]),
]


@pytest.mark.parametrize(("owner", "lines"), ASSIGNED, ids=lambda each: getattr(each, "__name__", None))
def test_the_attributes_are_still_set(owner: Any, lines: list[str]) -> None:
    source = inspect.getsource(owner)
    assert [line for line in lines if line not in source] == []


#: Behaviour of private code that ours depends on, as the words of its source.
Coordinator = aiokafka.consumer.group_coordinator.GroupCoordinator
WORDS: list[tuple[Any, str, str]] = [
    (
        faust.transport.consumer.Consumer._set_active_tps,
        "_active_partitions.clear()",
        "the set of wanted partitions keeps its identity",
    ),
    (
        aiokafka.consumer.fetcher.Fetcher.fetched_records,
        "if partitions and tp not in partitions",
        "a container that is never falsy selects",
    ),
    (aiokafka.consumer.fetcher.Fetcher.fetched_records, "while True", "a woken waiter looks again"),
    (
        aiokafka.consumer.fetcher.Fetcher.fetched_records,
        "if not res_or_error.has_more()",
        "what has more stays, and is not fetched again",
    ),
    (
        aiokafka.AIOKafkaConsumer.start,
        "group_instance_id=self._group_instance_id",
        "the static id is read when the consumer starts",
    ),
    (
        faust.tables.recovery.Recovery._restart_recovery.fun,
        "except RebalanceAgain as exc",
        "it begins anew when it is told to, whatever has failed",
    ),
    (Coordinator._heartbeat_routine, "await self._do_heartbeat()", "heartbeats are noted by replacing the method"),
    (Coordinator.ensure_active_group, "await self._do_rejoin_group(", "joins are held back by replacing the method"),
    (
        Coordinator._GroupCoordinator__coordination_routine,  # type: ignore[attr-defined]
        "await self._push_error_to_user(exc)",
        "errors of the group are told by replacing the method",
    ),
    (Coordinator._do_heartbeat, "self.reset_generation()", "a static id that is lost is noted by replacing the method"),
    (
        aiokafka.consumer.fetcher.Fetcher._fetch_requests_routine,
        "self._get_actions_per_node(",
        "the method that is replaced plans the fetches",
    ),
    (
        aiokafka.consumer.fetcher.Fetcher._get_actions_per_node,
        "self._fetch_max_wait_ms",
        "the long-poll is read at each plan",
    ),
    (
        aiokafka.consumer.fetcher.Fetcher._proc_fetch_request,
        "await self._client.send(node_id, request)",
        "fetches go through the client that is replaced",
    ),
    (
        aiokafka.consumer.fetcher.Fetcher._proc_fetch_request,
        "for topic, partitions in response.topics:",
        "a partition that an answer leaves out has nothing new",
    ),
    (
        aiokafka.consumer.fetcher.Fetcher._fetch_requests_routine,
        "self._in_flight.add(node_id)",
        "a broker has one fetch at a time, so that sessions stay in step",
    ),
    (aiokafka.conn.AIOKafkaConnection.send, "request_struct.encode()", "fetch requests are encoded by ours"),
    (aiokafka.conn.AIOKafkaConnection._handle_frame, "resp_type.decode(resp)", "fetch answers are decoded by ours"),
    (
        aiokafka.consumer.fetcher.Fetcher._get_actions_per_node,
        "self._max_partition_fetch_bytes",
        "how much of a partition is fetched is read at each plan",
    ),
    (
        faust.tables.recovery.Recovery.on_recovery_completed,
        "consumer.perform_seek()",
        "streams start from perform_seek",
    ),
    (faust.tables.recovery.Recovery._resume_streams, "consumer.perform_seek()", "streams start from perform_seek"),
    (faust.tables.recovery.Recovery._restart_recovery, "recovery_buffer_size == 1", "1 keeps the tail flowing"),
    (
        PartitionAssignor._perform_assignment,
        "self._get_copartitioned_groups(",
        "partitions that came later are left out by overriding the method",
    ),
    (
        PartitionAssignor._get_copartitioned_groups,
        "cluster.partitions_for_topic(topic)",
        "it asks the cluster for nothing else",
    ),
    (faust.app.base.App._on_partitions_revoked, "self._consumer_wait_empty", "wait_empty runs on revocation"),
    (faust.app.base.App._stop_consumer, "self._consumer_wait_empty", "wait_empty runs before the tables close"),
    (faust.app.base.App.on_rebalance_end, "self.rebalancing = False", "readiness is the end of the rebalance"),
    (
        driver.ConsumerRebalanceListener.on_partitions_revoked,
        "thread.on_partitions_revoked",
        "aiokafka waits for our revocation",
    ),
    (faust.transport.consumer.Fetcher._fetcher, "consumer._drain_messages(self)", "the fetch loop is ours"),
    (
        aiokafka.conn.AIOKafkaConnection.connect,
        "asyncio.StreamReader(limit=READER_LIMIT",
        "how far it reads ahead is looked up at each connection",
    ),
    (
        mode.threads.ServiceThread._start_thread,
        "if self._close_thread_loop_on_stop:",
        "a loop that it was given is closed when it is told so",
    ),
]


@pytest.mark.parametrize(("code", "words", "why"), WORDS, ids=lambda each: each if isinstance(each, str) else None)
def test_private_code_still_works_as_it_was_read(code: Any, words: str, why: str) -> None:
    assert words in inspect.getsource(getattr(code, "fun", code)), why  # a Service.task keeps its function


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (consumer.BatchConsumer, driver.Consumer),
        (thread.ConsumerThread, driver.AIOKafkaConsumerThread),
        (transport.BatchTransport, driver.Transport),
        (transport.PromptTableManager, faust.tables.manager.TableManager),
        (table.SourceTable, faust.tables.table.Table),
        (store.BatchStore, faust.stores.rocksdb.Store),
    ],
)
def test_every_override_is_held_by_this_file(ours: type, theirs: type) -> None:
    """A method of ours that exists in the parent without being listed would override it unseen."""
    listed = {name for _, name, _ in SIGNATURES}
    public = {"__init__", "close", "get", "position"}  # documented names
    overridden = {name for name, value in vars(ours).items() if inspect.isfunction(value) and hasattr(theirs, name)}
    assert overridden - listed - public == set()
