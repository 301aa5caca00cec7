"""Reads the books from Kafka, a partition at a time, up to the ends that the topics had when it began."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import Message

from pushcast.audit.accounts import MAX_LISTED, AccountKey, Totals
from pushcast.audit.intakes import (
    BOOKS,
    CLOCKS_DIFFER_MS,
    DEAD,
    INTAKE_OF,
    INTAKES,
    ORDER,
    SENDERS,
    Named,
    id_of,
    is_device,
    named,
)
from pushcast.audit.left_out import LeftOutRecords
from pushcast.audit.places import PLACES, Search, refused_in
from pushcast.audit.reckoning import LAG, MOVING, PartitionAccounts, Read
from pushcast.audit.spans import fences_from, of_partition, offset_of, read_span, starts_from
from pushcast.config.settings import Settings
from pushcast.handover.writers import Writers
from pushcast.kafka.clients import client_config, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.positions import Spot, open_positions, unfinished
from pushcast.kafka.topics import load_topology
from pushcast.model.clock import SystemClock
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire import headers as h
from pushcast.wire.answers.dead_letters import REASON, refused_offset
from pushcast.wire.answers.legs import decode_leg
from pushcast.wire.answers.receipts import Planned, decode_planned, decode_receipt
from pushcast.wire.configured_schemas import schemas_for_tool
from pushcast.wire.devices.devices import is_gone


@dataclass(frozen=True, slots=True)
class Lag:
    """Records of a topic that a group has not finished."""

    group: str
    topic: str
    records: int


planner_group = groups.plan


class Books:
    """A reader of one cluster. Not thread-safe; close it."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka.partitions
        self._schemas = schemas_for_tool(settings)
        client = client_config(settings.kafka.bootstrap_servers, settings.kafka.security, tool=True)
        self._positions = open_positions(client)
        reading = {**client, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50}
        self._consumer = open_consumer(reading, "pushcast-audit")

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reckon(
        self,
        since_ms: int | None,
        progress: Callable[[int], None] = lambda partition: None,
        on_receipt: Callable[[dict[str, Any]], None] = lambda receipt: None,
        on_planned: Callable[[Planned], None] = lambda planned: None,
    ) -> Totals:
        """Judges every notification produced since `since_ms` (None: as far back as all topics reach).

        `on_receipt` sees every distinct receipt once, `on_planned` every planned record that counts.
        """
        totals, left_out = Totals(), LeftOutRecords()
        committed = {lane: self._committed(planner_group(lane), topics.notification(lane)) for lane in Lane}
        lows = self._positions.starts(self._spots(*(topic for each in ORDER for topic in each)))
        ends: dict[Spot, int] = {}
        for each in ORDER:
            ends |= self._positions.ends(self._spots(*each))
        intake_ends = self._positions.ends(self._spots(*INTAKES))  # again: what was planned meanwhile lies before them
        judged_ms = {p: self._judged_from(p, since_ms, lows, ends) for p in range(self._partitions)}
        starts = starts_from(self._positions, lows, ends, judged_ms)
        books = {spot: low for spot, low in lows.items() if spot[0] in BOOKS}
        read_from = {**starts, **starts_from(self._positions, books, ends, fences_from(judged_ms))}
        for partition in range(self._partitions):
            accounts = PartitionAccounts(partition)
            writers = {topic: Writers() for topic in BOOKS}
            for message in read_span(
                self._consumer, partition, of_partition(partition, read_from), of_partition(partition, ends)
            ):
                topic, value = str(message.topic()), message.value()
                if topic in writers and not writers[topic].stands(headers_of(message), offset_of(message)):
                    continue
                if offset_of(message) < starts[topic, partition]:
                    continue
                if topic == topics.RECEIPT:
                    receipt = left_out.decoded(message, decode_receipt)
                    if receipt is not None and accounts.receipt(receipt):
                        on_receipt(receipt)
                elif topic == topics.PLANNED:
                    if (planned := left_out.decoded(message, decode_planned)) is not None:
                        accounts.planned(planned, message.timestamp()[1])
                        on_planned(planned)
                elif topic == topics.WALKED:
                    if (leg := left_out.decoded(message, decode_leg)) is not None:
                        accounts.leg(leg, message.timestamp()[1])
                elif topic in DEAD:
                    self._dead_letter(accounts, message)
                else:
                    accounts.intake(INTAKES[topic], offset_of(message), id_of(value, self._schemas))
                    if h.first(headers_of(message), h.FORWARDED) is None and self._is_foreign(message):
                        accounts.excuse(INTAKES[topic], offset_of(message))
            read = {
                str(lane): Read(starts.get((topic, partition), 0), intake_ends.get((topic, partition), 0))
                for topic, lane in INTAKES.items()
            }
            totals.void_records += sum(each.void for each in writers.values())
            wanted_places = accounts.open(read, MAX_LISTED - len(totals.unbalanced))
            places, found_in = self._places(partition, wanted_places, ends.get((topics.RECEIPT, partition), 0))
            begun = self._begun(partition) if wanted_places - places.keys() else {}
            listed = len(totals.unbalanced)
            planned_to = {str(lane): committed[lane][partition] for lane in Lane}
            accounts.settle(totals, planned_to, read, places, begun, SystemClock().now_ms())
            for row in totals.unbalanced[listed:]:
                intake = INTAKE_OF.get((row["lane"], row["source"])) if row["where"] == LAG else None
                row["topic"] = found_in.get((row["lane"], row["source"], row["offset"], row["notification"]), intake)
            progress(partition)
        return totals

    def _begun(self, partition: int) -> dict[tuple[str, str], float]:
        sends = {topics.send(platform, lane): (str(platform), str(lane)) for platform in Platform for lane in Lane}
        spots = [(topic, partition) for topic in sends]
        lows, ends = self._positions.starts(spots), self._positions.ends(spots)
        whole = {spot[0]: ends[spot] for spot, low in lows.items() if low == 0}
        begun = {sends[topic]: math.inf for topic in whole}
        firsts = {topic: 1 for topic, end in whole.items() if end}
        for message in read_span(self._consumer, partition, dict.fromkeys(firsts, 0), firsts):
            begun[sends[str(message.topic())]] = message.timestamp()[1]
        return begun

    def name_members(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds to what `reckon` listed how many processes read the topic in which it waits: with none it waits for
        ever. And which outputs Kafka refused its sender, which may have sent it then without writing its receipt."""
        readers = {topic: group for group, topic, _ in PLACES}
        readers |= {topic: planner_group(lane) for topic, lane in INTAKES.items()}
        members = self._positions.members({readers[row["topic"]] for row in rows if row["topic"] is not None})
        refused = self._refused({(row["topic"], row["partition"]) for row in rows if row["topic"] in SENDERS})
        for row in rows:
            row["members"] = None if row["topic"] is None else members[readers[row["topic"]]].alive
            spot = row["topic"], row["partition"]
            row["refused"] = list(refused.get(spot, ()))

    def _refused(self, spots: set[Spot]) -> dict[Spot, Sequence[str]]:
        found: dict[Spot, Sequence[str]] = {}
        for topic in {topic for topic, _ in spots}:
            of_topic = [spot for spot in spots if spot[0] == topic]
            for spot, metadata in self._positions.metadata(SENDERS[topic], of_topic).items():
                found[spot] = list(refused_in(metadata))
        return found

    def _dead_letter(self, accounts: PartitionAccounts, message: Message) -> None:
        headers = headers_of(message)
        offset = refused_offset(headers)
        if offset is not None:
            reason = (h.first(headers, REASON) or b"unknown").decode(errors="replace")
            accounts.dead_letter(DEAD[str(message.topic())], offset, str(message.topic()), reason)

    def _places(
        self, partition: int, wanted: set[AccountKey], read_to: int
    ) -> tuple[dict[AccountKey, str], dict[Named, str]]:
        """Where the deliveries of these accounts are, and in which topic; one that is nowhere is left out.

        `read_to`: of the receipts. While anything moves, what is not found may have gone from a topic that was not
        read yet to one that was.
        """
        if not wanted:
            return {}, {}
        by_group: dict[str, list[Spot]] = {}
        for group, topic, _ in PLACES:
            by_group.setdefault(group, []).append((topic, partition))
        spots = [spot for each in by_group.values() for spot in each]
        committed: dict[Spot, int] = {}
        sent_to: dict[str, int] = {}
        for group, its_spots in by_group.items():
            committed |= self._positions.committed(group, its_spots)
            if group != groups.SETTLE:
                for (topic, _), metadata in self._positions.metadata(group, its_spots).items():
                    sent_to[topic] = max(refused_in(metadata).values(), default=0)
        search = Search(wanted, sent_to)
        lows, ends = self._positions.starts(spots), self._positions.ends(spots)
        starts = {topic: start for (topic, _), (start, _) in unfinished(lows, ends, committed).items()}
        for message in read_span(self._consumer, partition, starts, of_partition(partition, ends)):
            search.record(str(message.topic()), offset_of(message), headers_of(message), message.value())
            if search.over:
                return search.found, named(search.topics)
        ends[topics.RECEIPT, partition] = read_to
        moving = any(end > ends[spot] for spot, end in self._positions.ends(ends).items())
        places = {**dict.fromkeys(wanted, MOVING), **search.found} if moving else search.found
        return places, named(search.topics)

    def _judged_from(
        self, partition: int, since_ms: int | None, lows: Mapping[Spot, int], ends: Mapping[Spot, int]
    ) -> int | None:
        """Time of the oldest notification whose books are whole: retention deletes segments, and does so in one topic
        earlier than in another. None: all of them are."""
        kept: list[int] = [] if since_ms is None else [since_ms]
        for topic in BOOKS:
            low, end = lows.get((topic, partition), 0), ends.get((topic, partition), 0)
            if low == 0:
                continue
            oldest = next(read_span(self._consumer, partition, {topic: low}, {topic: end}), None)
            if oldest is None:
                retention_ms = int(load_topology().topic(topic).settings["retention.ms"])
                oldest_ms = time.time_ns() // 1_000_000 - retention_ms
            else:
                oldest_ms = int(oldest.timestamp()[1])
            kept.append(oldest_ms + CLOCKS_DIFFER_MS)
        return max(kept, default=None)

    def _is_foreign(self, message: Message) -> bool:
        key = message.key()
        return bool(key) and partition_of(cast(bytes, key), self._partitions) != message.partition()

    def lag(self, group: str, topic: str) -> Lag:
        """Unfinished records of `topic`, all partitions together."""
        return self.lags([(group, topic)])[0]

    def lags(self, pairs: Sequence[tuple[str, str]]) -> list[Lag]:
        """As `lag` of each (group, topic), in their order; a topic has one group. One request for each group, and two
        for all topics.

        Ends are asked for last: what one of these topics gives to another meanwhile is found in one of them.
        """
        of_group: dict[str, list[Spot]] = {}
        for group, topic in pairs:
            of_group.setdefault(group, []).extend(self._spots(topic))
        committed: dict[Spot, int] = {}
        for found in self._positions.committed_by(of_group).values():
            committed |= found
        every = [spot for spots in of_group.values() for spot in spots]
        left: Counter[str] = Counter()
        spans = unfinished(self._positions.starts(every), self._positions.ends(every), committed)
        for (topic, _), (start, end) in spans.items():
            left[topic] += end - start
        return [Lag(group, topic, left[topic]) for group, topic in pairs]

    def removed_devices(self, topic: str) -> int:
        """Removals of devices that the devices topic still holds: markers of gone devices and tombstones."""
        lows, ends = self._positions.starts(self._spots(topic)), self._positions.ends(self._spots(topic))
        return sum(
            (value := message.value()) is None or (is_device(message.key()) and is_gone(value))
            for partition in range(self._partitions)
            for message in read_span(
                self._consumer, partition, of_partition(partition, lows), of_partition(partition, ends)
            )
        )

    def end_offsets(self, topic: str) -> list[int]:
        """Next offset to be written, per partition."""
        spots = self._spots(topic)
        ends = self._positions.ends(spots)
        return [ends.get(spot, 0) for spot in spots]

    def _committed(self, group: str, topic: str) -> list[int]:
        """Committed offset of each partition; 0 where nothing was committed."""
        spots = self._spots(topic)
        found = self._positions.committed(group, spots)
        return [found.get(spot, 0) for spot in spots]

    def _spots(self, *names: str) -> list[Spot]:
        return [(topic, partition) for topic in names for partition in range(self._partitions)]
