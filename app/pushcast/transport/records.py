"""aiokafka's reader of fetched records: a header name that is not UTF-8 does not end the consumer, a batch that is
damaged stops its own partition alone, and a record is made in C.

Kafka takes any bytes as a header's name, and C, Go and .NET clients write them. aiokafka decodes names as UTF-8 and
raises in its fetch loop, which ends the process at every start. Such a name is read with U+FFFD in its place here.

A batch whose checksum is wrong, or that no codec reads, makes aiokafka raise out of the fetch. What the same fetch had
taken of other partitions is lost then, and their positions have moved on: they would be committed unhandled.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final, NamedTuple, SupportsIndex

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

logger = logging.getLogger(__name__)

#: From one fetch of what could not be read to the next: a broker may have another copy, or be repaired.
UNREADABLE_SECONDS: Final = 1.0


class Unreadable(NamedTuple):
    """Bytes of a log that are no records, or that a broker does not give. `offset`: of the first record that they may
    hold."""

    offset: int
    why: str


class FetchedRecord(msgspec.Struct, gc=False):
    """A consumed record with the fields of aiokafka's `ConsumerRecord`, made in C. Nothing in it can refer to it, so
    the garbage collector need not look at it: a hundred thousand of them are often in flight."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    checksum: int | None
    serialized_key_size: int
    serialized_value_size: int
    headers: tuple[tuple[str, bytes | None], ...]


class _Lenient(bytearray):
    """Bytes whose parts decode whatever they are."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")


# Final for type checkers alone.
_Batch: Any = _DefaultRecordBatchPy
_Records: Any = _MemoryRecordsPy
_Fetched: Any = MemoryRecords
_OfPartition: Any = PartitionRecords
_Result: Any = FetchResult


class _LenientBatch(_Batch):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)


class _LenientRecords(_Records):  # type: ignore[misc]
    def next_batch(self) -> Any:
        data = self._next_slice
        batch = super().next_batch()
        return _LenientBatch(data) if batch is not None and batch.magic >= 2 else batch


class KeptRecords(_Fetched):  # type: ignore[misc]
    """Fetched records with their bytes, to be read once more."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class TolerantRecords(_OfPartition):  # type: ignore[misc]
    """Records of one partition and fetch. They are read by aiokafka's C code until a header's name fails."""

    _tp: Any
    _topic: str
    _partition: int
    _records: Any
    _records_iterator: Any
    _aborted_producers: set[int]
    next_fetch_offset: int

    def __init__(self, tp: Any, records: Any, aborted_transactions: Any, *rest: Any) -> None:
        super().__init__(tp, records, aborted_transactions, *rest)
        self._kept = records
        self.unreadable: Unreadable | None = None  # where reading stopped
        self._aborted = aborted_transactions
        self._topic, self._partition = tp.topic, tp.partition

    def _consumer_record(self, tp: Any, record: Any) -> FetchedRecord:
        """No consumer of ours has a deserializer: keys and values are bytes."""
        key, value = record.key, record.value
        return FetchedRecord(
            self._topic,
            self._partition,
            record.offset,
            record.timestamp,
            record.timestamp_type,
            key,
            value,
            None,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            tuple(record.headers),
        )

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None
            raise
        except Exception as error:
            if not isinstance(error, UnicodeDecodeError) or isinstance(self._records, _LenientRecords):
                # The end, as far as aiokafka knows: it hands out what was read before.
                self.unreadable = Unreadable(self.next_fetch_offset, _why(error))
                self._records_iterator = None
                raise StopIteration from error
        place = (self._tp.topic, self._tp.partition, self.next_fetch_offset)
        logger.warning("%s[%d]: a header's name is not UTF-8, at or after offset %d; read with U+FFFD", *place)
        # From the start of what was fetched. aiokafka's position follows the batches that are read once more, so it
        # does not tell which of their records were handed out.
        self._records = _LenientRecords(self._kept.data)
        self._aborted_transactions = sorted(self._aborted or [], key=lambda aborted: aborted[1])
        self._aborted_producers = set()
        handed_out_to = place[2]
        self._records_iterator = (record for record in self._unpack_records() if record.offset >= handed_out_to)
        return next(self)


def _why(error: Exception) -> str:
    text = str(error) if isinstance(error, KafkaError) else f"{type(error).__name__}: {error}"
    return text[:200]


class _Refused:
    """In place of records that a broker did not give."""

    def __init__(self, offset: int, error: Exception) -> None:
        self.next_fetch_offset = offset
        self.unreadable = Unreadable(offset, _why(error))


class PatientResult(_Result):  # type: ignore[misc]
    """What was fetched of a partition. Where it cannot be read the partition stands, and is fetched again."""

    _topic_partition: Any
    _partition_records: Any
    _backoff: float

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._again_at = 0.0  # on the monotonic clock

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Records from the position on, and none behind what cannot be read. aiokafka drops what has no more."""
        if (records := self._partition_records) is None or unreadable(self) is None:
            found: list[Any] = super().getall(max_records)
            if records is not None and records.unreadable is not None:
                self._partition_records = records
                self._again_at = time.monotonic() + UNREADABLE_SECONDS
                self._backoff = 0  # other partitions of the broker do not wait
            return found
        if self.check_assignment(self._topic_partition) and time.monotonic() >= self._again_at:
            self._partition_records = None
        return []


def refused(tp: Any, assignment: Any, error: Exception) -> PatientResult:
    """What was fetched of a partition that the broker does not give: nothing, and no other partition waits for it.

    aiokafka raises such an error out of the next fetch, behind which all partitions of the consumer wait."""
    position = assignment.state_value(tp).position
    result = PatientResult(tp, assignment=assignment, partition_records=_Refused(position, error), backoff=0)
    result._again_at = time.monotonic() + UNREADABLE_SECONDS
    return result


def unreadable(result: Any) -> Unreadable | None:
    """Why no more of what was fetched can be handed out; None when it can, and for an error."""
    found: Unreadable | None = getattr(getattr(result, "_partition_records", None), "unreadable", None)
    return found


def fetched_bytes(result: Any) -> int:
    """Of an answer that waits to be handed out, for one partition; 0 for an error."""
    records = getattr(result, "_partition_records", None)
    return len(records._kept.data) if isinstance(records, TolerantRecords) else 0


def install() -> None:
    """Has every aiokafka consumer of this process read so. Called more than once it changes nothing."""
    module: Any = fetcher
    module.MemoryRecords = KeptRecords
    module.PartitionRecords = TolerantRecords
    module.FetchResult = PatientResult
