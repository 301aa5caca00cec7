"""Reads dead-letter topics and writes letters back to the topics that they came from. A tool, not a stage.

What is never sent again: deliveries whose last receipt is anything but `dead`, deliveries past their expiry (their
`dead` receipt stands), and, unless asked for, deliveries that may have arrived (`unknown_outcome`). Letters that the
manifest holds, and letters of a run that was killed before it could note them, are left out: the source topics are read
from where they ended before that run. Not covered: a delivery of an earlier redrive that is still under way, when the
manifest is not used; notifications and device changes have no delivery yet, PLAN and REGISTER know their ids.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from pushcast.config.settings import Settings
from pushcast.kafka.handover.fences import Fences, author_of
from pushcast.kafka.security import librdkafka_config
from pushcast.kafka.topics import load_topology
from pushcast.model.errors import PushcastError
from pushcast.model.words import Outcome
from pushcast.settle.letters import Filter, Letter, Raw, came_from, in_doubt, read_letter, redriven_headers
from pushcast.settle.manifest import Manifest
from pushcast.wire import topics
from pushcast.wire.batches import encode_batch
from pushcast.wire.headers import first
from pushcast.wire.receipts import decode_receipt
from pushcast.wire.retries import CAME_FROM, pick

_TIMEOUT_SECONDS = 15.0
_POLL_SECONDS = 0.2
#: Letters held at a time; the manifest is saved after each such step.
STEP_LETTERS = 500
STEP_BYTES = 16 << 20

Progress = Callable[[int, int], None]  # letters redriven, letters read
Last = tuple[str, int]  # outcome and run of a delivery's last receipt
_NO_RECEIPT: Last = (Outcome.DEAD, -1)


@dataclass(slots=True)
class Report:
    """What a redrive did, or would do."""

    letters: int = 0  # that the filter takes
    redriven: int = 0
    deliveries: int = 0  # in redriven send batches
    left_out: Counter[str] = field(default_factory=Counter)  # deliveries by why
    before: int = 0  # letters that an earlier run has redriven


def dead_letter_topics(wanted: Filter) -> list[str]:
    """Raises PushcastError for a topic that has no dead letters."""
    known = {topic.source: topic.name for topic in load_topology().topics if topic.source is not None}
    unknown = wanted.topics - known.keys()
    if unknown:
        raise PushcastError(f"{', '.join(sorted(unknown))}: no topic with dead letters is called so")
    return sorted(name for source, name in known.items() if not wanted.topics or source in wanted.topics)


def what_is_left(
    letter: Letter, last: Mapping[bytes, Last], now_ms: int, include_in_doubt: bool, receipts_since_ms: int = 0
) -> tuple[bytes | None, int, Counter[str]]:
    """Value to write, deliveries in it, and deliveries that are left out by why. Pure. No value: nothing is left.

    `receipts_since_ms`: receipts from before it are gone, so that older letters without one are not judged.
    """
    batch = letter.batch
    if batch is None:
        return letter.raw.value, 0, Counter()
    left_out: Counter[str] = Counter()
    messages = []
    doubtful = in_doubt(letter) and not include_in_doubt
    for message in batch.messages:
        targets = message.targets
        keep = []
        for index, delivery in enumerate(targets.delivery_id):
            outcome, run = last.get(delivery, _NO_RECEIPT)
            if run < 0 and letter.raw.timestamp_ms < receipts_since_ms:
                left_out["not_judgeable"] += 1
            elif outcome != Outcome.DEAD:
                left_out[outcome] += 1
            elif run > batch.run:
                left_out["later_run"] += 1  # redriven before, and in a later letter if it died again
            elif targets.expires_at[index] <= now_ms:
                left_out["past_expiry"] += 1
            elif doubtful:
                left_out["in_doubt"] += 1
            else:
                keep.append(index)
        if keep:
            messages.append(pick(message, keep))
    if not messages:
        return None, 0, left_out
    again = replace(batch, messages=messages, run=redriven_headers(letter)[1])
    return encode_batch(again), again.target_count, left_out


class DeadLetters:
    """Dead letters of one cluster. Not thread-safe; close it."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        self._config = {
            "bootstrap.servers": kafka.bootstrap_servers,
            **librdkafka_config(kafka.security),
            "log_level": 0,
        }
        self._consumer = Consumer(
            {
                **self._config,
                "group.id": "pushcast-dlq",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
            }
        )

    def __enter__(self) -> DeadLetters:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def letters(self, wanted: Filter) -> Iterator[Letter]:
        """Letters that the filter takes, up to the ends that the topics have now; oldest first in each partition."""
        for topic in dead_letter_topics(wanted):
            for partition in range(self._partitions_of(topic)):
                for message in self._read(topic, partition):
                    letter = read_letter(raw_of(message))
                    if wanted.takes(letter):
                        yield letter

    def redrive(
        self,
        wanted: Filter,
        manifest: Manifest,
        *,
        execute: bool,
        per_second: float,
        include_in_doubt: bool = False,
        progress: Progress = lambda redriven, letters: None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Report:
        """Counts, and with `execute` writes. Raises PushcastError when Kafka does not take a record."""
        report = Report()
        already = self._written_by_a_killed_run(manifest)
        step: list[Letter] = []
        size = 0
        for letter in self.letters(wanted):
            report.letters += 1
            raw = letter.raw
            if manifest.holds(raw.topic, raw.partition, raw.offset) or came_from(raw) in already:
                report.before += 1
                continue
            same = not step or (step[0].raw.topic, step[0].raw.partition) == (raw.topic, raw.partition)
            if step and (not same or len(step) >= STEP_LETTERS or size >= STEP_BYTES):
                self._do(step, manifest, report, execute, per_second, include_in_doubt, now_ms, sleep)
                progress(report.redriven, report.letters)
                step, size = [], 0
            step.append(letter)
            size += len(raw.value or b"")
        if step:
            self._do(step, manifest, report, execute, per_second, include_in_doubt, now_ms, sleep)
        progress(report.redriven, report.letters)
        return report

    def _do(
        self,
        step: list[Letter],
        manifest: Manifest,
        report: Report,
        execute: bool,
        per_second: float,
        include_in_doubt: bool,
        now_ms: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        """One step: letters of one partition."""
        raw = step[0].raw
        source, partition = raw.topic.removesuffix(topics.DEAD_LETTER_SUFFIX), raw.partition
        last, since_ms = self._last_receipts(step, partition)
        wanted: list[tuple[Letter, bytes | None]] = []
        for letter in step:
            value, deliveries, left_out = what_is_left(letter, last, now_ms(), include_in_doubt, since_ms)
            report.left_out += left_out
            if value is not None or letter.batch is None:
                wanted.append((letter, value))
                report.deliveries += deliveries
        report.redriven += len(wanted)
        if not execute or not wanted:
            return
        manifest.ends[source, partition] = self._end(source, partition)
        manifest.save()
        failed: list[str] = []
        producer = Producer({**self._config, "acks": "all", "enable.idempotence": True})
        begun = time.monotonic()
        for count, (letter, value) in enumerate(wanted):
            ahead = count / per_second - (time.monotonic() - begun)
            if ahead > 0:
                sleep(ahead)
            headers, _ = redriven_headers(letter)
            producer.produce(
                source,
                value,
                letter.raw.key,
                partition,
                timestamp=max(0, letter.raw.timestamp_ms),
                headers=cast("list[tuple[str, str | bytes | None]]", headers),
                on_delivery=lambda error, message: failed.append(error.str()) if error is not None else None,
            )
            producer.poll(0)
        left = producer.flush(_TIMEOUT_SECONDS)
        if left or failed:
            raise PushcastError(
                f"{source}[{partition}]: {left} records unacknowledged, refused: {'; '.join(failed[:3]) or 'none'}; "
                "run it again: it goes on where it was"
            )
        manifest.add(raw.topic, partition, [letter.raw.offset for letter, _ in wanted])
        del manifest.ends[source, partition]
        manifest.save()

    def _written_by_a_killed_run(self, manifest: Manifest) -> set[str]:
        """Names of letters that stand in their source topic above the ends that the last run noted."""
        found: set[str] = set()
        for (topic, partition), end in manifest.ends.items():
            for message in self._read(topic, partition, end):
                name = first(_raw_headers(message), CAME_FROM)
                if name is not None:
                    found.add(name.decode("utf-8", "replace"))
        return found

    def _last_receipts(self, step: Iterable[Letter], partition: int) -> tuple[dict[bytes, Last], int]:
        """Of each delivery in these letters: they were written after their letter was first seen. And since when
        receipts are kept."""
        wanted: set[bytes] = set()
        since: list[int] = []
        for letter in step:
            if letter.batch is not None:
                since.append(max(0, letter.raw.timestamp_ms))
                for part in letter.batch.messages:
                    wanted.update(part.targets.delivery_id)
        if not wanted:
            return {}, 0
        found: dict[bytes, Last] = {}
        fences = Fences()
        start, kept_since = self._offset_at(topics.RECEIPT, partition, min(since)), 0
        low = self._bounds(topics.RECEIPT, partition)[0]
        for message in self._read(topics.RECEIPT, partition, start):
            offset, value = cast(int, message.offset()), message.value()
            if 0 < low == offset:
                kept_since = int(message.timestamp()[1])
            if not fences.admit(author_of(_raw_headers(message)), offset) or value is None:
                continue
            receipt = decode_receipt(value)
            delivery = bytes.fromhex(receipt["delivery_id"])
            # An acceptance is never taken back: a retry that overtook it cannot make the delivery dead.
            if delivery in wanted and found.get(delivery, _NO_RECEIPT)[0] != Outcome.ACCEPTED:
                found[delivery] = receipt["outcome"], receipt["run"]
        return found, kept_since

    def _offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        [found] = self._consumer.offsets_for_times(
            [TopicPartition(topic, partition, timestamp_ms)], timeout=_TIMEOUT_SECONDS
        )
        return int(found.offset) if found.offset >= 0 else self._end(topic, partition)

    def _partitions_of(self, topic: str) -> int:
        """As many as it has in the cluster (topics of control have one); 0 while it is not there."""
        try:
            return len(self._consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions)
        except KafkaException as error:
            raise PushcastError(f"{topic}: {error.args[0].str()}") from error

    def _bounds(self, topic: str, partition: int) -> tuple[int, int]:
        try:
            found = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_SECONDS)
        except KafkaException as error:
            raise PushcastError(f"{topic}[{partition}]: {error.args[0].str()}") from error
        if found is None:
            raise PushcastError(f"no answer from Kafka about {topic} within {_TIMEOUT_SECONDS:.0f} s")
        return int(found[0]), int(found[1])

    def _end(self, topic: str, partition: int) -> int:
        return self._bounds(topic, partition)[1]

    def _read(self, topic: str, partition: int, start: int | None = None) -> Iterator[Message]:
        """From `start` to the end of now. The consumer is shared: it is put back in place after each use elsewhere."""
        low, end = self._bounds(topic, partition)
        position = low if start is None else max(low, start)
        while position < end:
            self._consumer.assign([TopicPartition(topic, partition, position)])
            block, position = self._block(topic, partition, position, end)
            yield from block

    def _block(self, topic: str, partition: int, position: int, end: int) -> tuple[list[Message], int]:
        """Some records and where to go on."""
        block: list[Message] = []
        size = 0
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while position < end and len(block) < STEP_LETTERS and size < STEP_BYTES:
            for message in self._consumer.consume(min(STEP_LETTERS, end - position), timeout=_POLL_SECONDS):
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return block, end
                    raise PushcastError(f"{topic}[{partition}]: {error.str()}")
                offset = cast(int, message.offset())
                if offset < end:
                    block.append(message)
                    size += len(message.value() or b"")
                position = offset + 1
                deadline = time.monotonic() + _TIMEOUT_SECONDS
            if time.monotonic() > deadline:
                raise PushcastError(f"no records from {topic}[{partition}] within {_TIMEOUT_SECONDS:.0f} s")
        return block, position


def raw_of(message: Message) -> Raw:
    """A consumed record, without the client."""
    return Raw(
        topic=cast(str, message.topic()),
        partition=cast(int, message.partition()),
        offset=cast(int, message.offset()),
        timestamp_ms=int(message.timestamp()[1]),
        key=message.key(),
        value=message.value(),
        headers=cast("list[tuple[str, bytes | None]]", message.headers() or []),
    )


def _raw_headers(message: Message) -> list[tuple[str, bytes]]:
    return cast("list[tuple[str, bytes]]", message.headers() or [])
