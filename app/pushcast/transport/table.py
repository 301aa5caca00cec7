"""A Faust table whose changelog is a compacted topic that others write: the topic is the table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import faust
import rocksdict
from faust.tables.table import Table
from faust.types import TP

from pushcast.handover.guard import RowGuard
from pushcast.stream.rocks import row_count
from pushcast.stream.table import Derive
from pushcast.stream.tracker import Record
from pushcast.transport.store import BatchStore
from pushcast.transport.table_index import TableIndex
from pushcast.transport.table_reads import Row, internal_rows, multi_scan, rows_after

logger = logging.getLogger(__name__)

VoidHook = Callable[[int, int], None]
AppliedHook = Callable[[int, Sequence[Record]], None]
Read = TypeVar("Read", bound=Callable[..., Any])


def of_a_copy(read: Read) -> Read:
    """Marks what is read of a partition's copy. Where the copy is damaged, this raises what RocksDB says, which ends
    the process, and the next one finds the copy condemned and rebuilds it: else each one would end at the same row."""

    @wraps(read)
    def careful(table: SourceTable, partition: int, *arguments: Any, **options: Any) -> Any:
        try:
            return read(table, partition, *arguments, **options)
        except Exception as error:
            table.broken_by(partition, error)
            raise

    return cast(Read, careful)


class SourceTable(Table[bytes, bytes]):
    """Rows of one compacted topic, by partition.

    Nothing is written here but what comes from the topic: owners and standbys tail the same log. A row is visible as
    soon as its record was fetched, a few milliseconds after it was acknowledged. Reads block the loop for
    microseconds. A partition must be assigned and recovered; asking for another one opens an empty copy.
    """

    def __init__(self, app: faust.App, **options: Any) -> None:
        options |= {"key_type": bytes, "value_type": bytes}
        if options.get("changelog_topic") is not None:
            # Faust takes 1 as: keep active changelog partitions flowing after recovery.
            options["recovery_buffer_size"] = 1
        super().__init__(app, **options)
        self.stale_after_seconds: float | None = None
        self.log_id: str | None = None
        self._applied_hooks: list[AppliedHook] = []
        self._applied: dict[int, int] = {}
        self._guards: dict[int, RowGuard] | None = None
        self._guarded_stage = ""
        self._void_hooks: list[VoidHook] = []
        self._index: TableIndex | None = None

    def guard(self, stage: str) -> None:
        """From now on rows of `stage` that it wrote after it was fenced off stay out of the table, and out of
        `on_applied`. For the table of the one who writes the topic: it must know the rows as they should be. Costs
        about half a microsecond a row. Before the App starts."""
        self._guarded_stage = stage
        self._guards = {}

    def index_by(self, derive: Derive) -> None:
        """From now on the copy has an index: entries are written in one write with their row. Of a guarded table,
        before the App starts."""
        self._index = TableIndex(derive)
        self._store_of().shares_write_buffers = True

    def read_by_key(self) -> None:
        """From now on whole keys that have no row are answered without a search through the newest rows. For a table
        that is asked for such keys; a row that is written costs a little more. Before the App starts."""
        self._store_of().filters_keys = True

    @of_a_copy
    def index(self, partition: int, first: bytes, before: bytes, limit: int) -> list[bytes]:
        """Entries of the index from `first` on, below `before`, ascending."""
        return self._indexed().read(partition, self._database(partition), first, before, limit)

    @of_a_copy
    def forget_entries(self, partition: int, entries: Iterable[bytes]) -> None:
        """Takes entries out of the index that say nothing any more."""
        self._indexed().forget(self._database(partition), entries)

    def _indexed(self) -> TableIndex:
        if self._index is None:
            raise ValueError(f"table {self.name} has no index")
        return self._index

    def fenced(self, partition: int) -> int:
        """Epoch of the last fence that was applied; 0 before the first. Of a guarded table."""
        return self._guard_of(partition).epoch

    def void(self, partition: int) -> Mapping[bytes, int]:
        """Keys whose last record in the log is void, with its offset: to be overwritten. Of a guarded table."""
        return self._guard_of(partition).void

    def on_void(self, hook: VoidHook) -> None:
        """Calls `hook(partition, count)` on the loop after void records came by; it must not block or raise."""
        self._void_hooks.append(hook)

    @of_a_copy
    def get(self, partition: int, key: bytes) -> bytes | None:  # type: ignore[override]
        """The value of a key, or None."""
        value = self._database(partition).get(key)
        return None if value is None else bytes(value)

    @of_a_copy
    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """`get` for many keys, in their order: cheaper than one by one."""
        values = cast(list[bytes | None], self._database(partition).get(list(keys)))
        return [None if value is None else bytes(value) for value in values]

    def scan(self, partition: int, prefix: bytes) -> list[Row]:
        """Rows whose key starts with `prefix`, by key. What is no row, a fence above all, is left out."""
        return self.multi_scan(partition, (prefix,))[0]

    @of_a_copy
    def multi_scan(self, partition: int, prefixes: Sequence[bytes]) -> list[list[Row]]:
        """`scan` for many prefixes at one moment of the table; the answers are in the order of the prefixes."""
        return multi_scan(self._database(partition), prefixes)

    @of_a_copy
    def rows_after(self, partition: int, key: bytes, limit: int) -> list[Row]:
        """The first `limit` rows whose key is above this one, by key; fewer at the end of the partition. Fences and
        what a copy keeps for itself are left out."""
        return rows_after(self._database(partition), key, limit)

    def position(self, partition: int) -> int:
        """Next offset of the topic to be applied; 0 when nothing was."""
        applied = self._applied.get(partition)
        if applied is None:
            stored = self._store_of().persisted_offset(self._tp(partition))
            if stored is None:
                return 0
            applied = self._applied[partition] = stored
        return applied + 1

    def held(self, partition: int) -> bool:
        """Whether the assignment gave this process the table's partition.

        False after a leader without knowledge of the topic assigned the stage's partitions alone: look-ups would all
        miss. A stage waits then (`assigned` raises TimeoutError) until the group is balanced again.
        """
        return self._tp(partition) in self.app.assignor.assigned_actives()

    @of_a_copy
    def count(self, partition: int) -> int:
        """RocksDB's estimate of the number of rows; overwritten rows count until they are compacted."""
        return row_count(self._database(partition))

    def on_applied(self, hook: AppliedHook) -> None:
        """Calls `hook(partition, records)` on the loop after records were applied; it must not block or raise."""
        self._applied_hooks.append(hook)

    def apply(self, partition: int, records: Sequence[Record]) -> None:
        """Applies records of the topic, in order. For the transport."""
        if self._guards is not None:
            self._apply_guarded(partition, records)
            return
        self._store_of().apply(partition, records)
        self._applied[partition] = records[-1].offset
        for hook in self._applied_hooks:
            hook(partition, records)

    def _apply_guarded(self, partition: int, records: Sequence[Record]) -> None:
        judged = self._guard_of(partition).judge(records)
        entries = () if self._index is None else self._index.entries(partition, judged.rows)
        self._store_of().apply_rows(partition, judged.rows, records[-1].offset, entries)
        self._applied[partition] = records[-1].offset
        admitted = [records[index] for index in judged.admitted] if judged.void else records
        for hook in self._applied_hooks:
            hook(partition, admitted)
        if judged.void:
            for void_hook in self._void_hooks:
                void_hook(partition, judged.void)

    @of_a_copy
    def _guard_of(self, partition: int) -> RowGuard:
        if self._guards is None:
            raise ValueError(f"table {self.name} is not guarded")
        guard = self._guards.get(partition)
        if guard is None:
            stored = internal_rows(self._database(partition))
            guard = self._guards[partition] = RowGuard(f"{self._guarded_stage}/{partition}", stored)
        return guard

    async def on_rebalance(
        self, assigned: set[Any], revoked: set[Any], newly_assigned: set[Any], generation_id: int = 0
    ) -> None:
        """Forgets positions: a database may be dropped and opened anew."""
        self._applied.clear()
        if self._guards is not None:
            self._guards.clear()
        if self._index is not None:
            self._index.clear()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def condemn(self, partition: int) -> None:
        """Has the next opening of the partition's copy make it anew."""
        self._store_of().condemn(partition)

    def broken_by(self, partition: int, error: Exception) -> None:
        """A read of the partition's copy has raised this."""
        self._store_of().broken_by(partition, error)

    def _tp(self, partition: int) -> TP:
        return TP(self._changelog_topic_name(), partition)

    def _store_of(self) -> BatchStore:
        store = self.data
        assert isinstance(store, BatchStore)
        return store

    def _database(self, partition: int) -> rocksdict.Rdict:
        return self._store_of().database(partition)

    def _new_store_by_url(self, url: Any) -> BatchStore:
        store = BatchStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            loop=self.loop,
            options={"driver": "rocksdict"},
        )
        if self.stale_after_seconds is not None:
            store.stale_after_seconds = self.stale_after_seconds
        store.log_id = self.log_id
        return store

    @property
    def topic(self) -> str:
        """The compacted topic that the table is a copy of."""
        return self._changelog_topic_name()

    def copy_of(self, log_id: str | None) -> None:
        """Says which log the copies must be of (`ClusterFacts.log_id`). Before the App starts."""
        self.log_id = log_id
        self._store_of().log_id = log_id

    def drop_beyond(self, partition: int, end: int) -> bool:
        """Drops the copy of a partition that is ahead of its log; recovery rebuilds it. True when it was."""
        dropped = self._store_of().drop_beyond(self._tp(partition), end)
        if dropped:
            self._applied.pop(partition, None)
            if self._guards is not None:
                self._guards.pop(partition, None)
            if self._index is not None:
                self._index.clear(partition)
        return dropped

    def _changelog_topic_name(self) -> str:
        # Faust ignores `changelog_topic` here, and its assignor asks here.
        if self._changelog_topic is not None:
            return self._changelog_topic.get_topic_name()
        return super()._changelog_topic_name()
