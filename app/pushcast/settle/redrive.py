"""Reads dead-letter topics and writes letters back to the topics that they came from. A tool, not a stage.

What is never sent again: deliveries whose last receipt is anything but `dead`, deliveries past their expiry (their
`dead` receipt stands), records that are invalid themselves unless their reason is asked for, and, unless asked for,
deliveries that may have arrived (`unknown_outcome`). Letters that the manifest holds, and letters of a run that was
killed before it could note them, are left out: the source topics are read from where they ended before that run. Not
covered: a delivery of an earlier redrive that is still under way, when the manifest is not used; notifications and
device changes have no delivery yet, PLAN and REGISTER know their ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import cast

from pushcast.config.settings import Settings
from pushcast.handover.fences import Fences
from pushcast.kafka.clients import client_config, open_producer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.producer import MAX_RECORD_BYTES, produce_when_room
from pushcast.kafka.topics import load_topology
from pushcast.model.errors import PushcastError
from pushcast.model.words import Outcome
from pushcast.settle.letters import INVALID, Filter, Letter, offset_of, read_letter, redriven_headers
from pushcast.settle.logs import BLOCK_BYTES, BLOCK_RECORDS, Logs, raw_of
from pushcast.settle.manifest import Manifest
from pushcast.settle.redrive_report import Report
from pushcast.settle.remains import NO_RECEIPT, Last, what_is_left
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.headers import first, is_probe
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import CAME_FROM

_TIMEOUT_SECONDS = 15.0
#: Letters held at a time; the manifest is saved after each such step.
STEP_LETTERS = BLOCK_RECORDS
STEP_BYTES = BLOCK_BYTES
#: Deliveries that are remembered as redriven: ten times what a sender has under way.
MAX_TAKEN = 100_000
#: Why the second letter of a delivery is left out.
IN_ANOTHER_LETTER = "in_another_letter"

Progress = Callable[[int, int], None]  # letters redriven, letters read
_NEVER_MS = 2**63


def dead_letter_topics(wanted: Filter) -> list[str]:
    """Raises PushcastError for a topic that has no dead letters."""
    known = {topic.source: topic.name for topic in load_topology().topics if topic.source is not None}
    unknown = wanted.topics - known.keys()
    if unknown:
        raise PushcastError(f"{', '.join(sorted(unknown))}: no topic with dead letters is called so")
    return sorted(name for source, name in known.items() if not wanted.topics or source in wanted.topics)


class DeadLetters:
    """Dead letters of one cluster. Not thread-safe; close it."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        self._client = client_config(kafka.bootstrap_servers, kafka.security, tool=True)
        self._logs = Logs(self._client)
        self._taken: dict[bytes, Last] = {}  # deliveries of this redrive, oldest first

    def __enter__(self) -> DeadLetters:
        return self

    def __exit__(self, *_: object) -> None:
        self._logs.close()

    def letters(self, wanted: Filter) -> Iterator[Letter]:
        """Letters that the filter takes, up to the ends that the topics have now; oldest first in each partition."""
        for topic, partition in self._logs.filled(dead_letter_topics(wanted)):
            for message in self._logs.read(topic, partition):
                if is_probe(message.value(), headers_of(message)):
                    continue
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
        self._note_what_a_killed_run_wrote(manifest)
        if execute and manifest.ends:
            manifest.save()  # before a step of this run puts its own ends in their place
        self._taken.clear()
        step: list[Letter] = []
        size = 0
        for letter in self.letters(wanted):
            report.letters += 1
            raw = letter.raw
            if manifest.holds(raw.topic, raw.partition, raw.offset):
                report.before += 1
                continue
            if letter.reason in INVALID and letter.reason not in wanted.reasons:
                report.invalid += 1
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
        last |= self._taken
        wanted: list[tuple[Letter, bytes | None]] = []
        for letter in step:
            value, deliveries, left_out = what_is_left(letter, last, now_ms(), include_in_doubt, since_ms)
            report.left_out += left_out
            if value is not None or letter.batch is None:
                wanted.append((letter, value))
                report.deliveries += deliveries
                if letter.batch is not None and value is not None:
                    last |= self._take(value)
        report.redriven += len(wanted)
        if not execute or not wanted:
            return
        manifest.ends[source, partition] = self._logs.end(source, partition)
        manifest.save()
        failed: list[str] = []
        producer = open_producer({**self._client, "message.max.bytes": MAX_RECORD_BYTES})
        begun = time.monotonic()
        for count, (letter, value) in enumerate(wanted):
            ahead = count / per_second - (time.monotonic() - begun)
            if ahead > 0:
                sleep(ahead)
            headers, _ = redriven_headers(letter)
            produce_when_room(
                producer,
                source,
                value,
                letter.raw.key,
                partition,
                failed.append,
                timestamp=letter.first_seen_at,
                headers=headers,
            )
        left = producer.flush(_TIMEOUT_SECONDS)
        if left or failed:
            raise PushcastError(
                f"{source}[{partition}]: {left} records unacknowledged, refused: {'; '.join(failed[:3]) or 'none'}; "
                "run it again: it goes on where it was"
            )
        manifest.add(raw.topic, partition, [letter.raw.offset for letter, _ in wanted])
        del manifest.ends[source, partition]
        manifest.save()

    def _take(self, value: bytes) -> dict[bytes, Last]:
        """Remembers what is redriven: a sender that was killed may have left two letters of one delivery, close to each
        other, and no receipt tells yet of what was redriven just now."""
        found = {
            delivery: (IN_ANOTHER_LETTER, 0)
            for message in decode_batch(value).messages
            for delivery in message.targets.delivery_id
        }
        taken = self._taken
        taken |= found
        for delivery in list(islice(taken, max(0, len(taken) - MAX_TAKEN))):
            del taken[delivery]
        return found

    def _note_what_a_killed_run_wrote(self, manifest: Manifest) -> None:
        """Adds the letters that stand in their source topic above the ends that the last run noted."""
        for (source, partition), end in manifest.ends.items():
            letters = topics.dead_letter(source)
            names = [first(headers_of(message), CAME_FROM) for message in self._logs.read(source, partition, end)]
            offsets = [offset_of(name, letters, partition) for name in names if name is not None]
            manifest.add(letters, partition, [offset for offset in offsets if offset is not None])

    def _last_receipts(self, step: Iterable[Letter], partition: int) -> tuple[dict[bytes, Last], int]:
        """Of each delivery in these letters: they were written after their letter was first seen. And since when
        receipts are kept."""
        wanted: set[bytes] = set()
        since: list[int] = []
        for letter in step:
            if letter.batch is not None:
                since.append(letter.first_seen_at)
                for part in letter.batch.messages:
                    wanted.update(part.targets.delivery_id)
        if not wanted:
            return {}, 0
        found: dict[bytes, Last] = {}
        fences = Fences()
        start, kept_since = self._logs.offset_at(topics.RECEIPT, partition, min(since)), 0
        low, end = self._logs.bounds(topics.RECEIPT, partition)
        if 0 < low == end:
            return {}, _NEVER_MS  # every receipt is gone
        for message in self._logs.read(topics.RECEIPT, partition, start):
            offset, value = cast(int, message.offset()), message.value()
            if 0 < low == offset:
                kept_since = int(message.timestamp()[1])
            if not fences.stands(headers_of(message), offset) or value is None:
                continue
            receipt = decode_receipt(value)
            delivery = bytes.fromhex(receipt["delivery_id"])
            # An acceptance is never taken back: a retry that overtook it cannot make the delivery dead.
            if delivery in wanted and found.get(delivery, NO_RECEIPT)[0] != Outcome.ACCEPTED:
                found[delivery] = receipt["outcome"], receipt["run"]
        return found, kept_since
