"""A topic file as a strict model, and the physical topics that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from pushcast.kafka.topics.words import AGENT_ROLES, Outsider, Partitioning, PersonalData, Role, role_of
from pushcast.model.words import Lane, Platform
from pushcast.wire.topics import RetryDelay, dead_letter

#: https://github.com/apache/kafka/blob/4.3.0/clients/src/main/java/org/apache/kafka/common/internals/Topic.java
MAX_NAME_CHARS: Final = 249
NAME = re.compile(r"[a-zA-Z0-9._-]+")
DAY_SECONDS: Final = 86_400
#: Headers that say what was wrong come on top of a record that already has its source's full size.
DEAD_LETTER_EXTRA_BYTES: Final = 65_536
DEAD_LETTER_RETENTION_SECONDS: Final = 14 * DAY_SECONDS
#: Every topic setting that Pushcast manages. One that a topic does not want is put back to the cluster's default;
#: all others are the operator's.
MANAGED_SETTINGS: Final = frozenset(
    {
        "cleanup.policy",
        "delete.retention.ms",
        "max.compaction.lag.ms",
        "max.message.bytes",
        "min.cleanable.dirty.ratio",
        "message.timestamp.type",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "retention.ms",
        "segment.ms",
    }
)


class TopicFamily(BaseModel):
    """One file. Placeholders in the name (`<lane>`, `<platform>`, `<delay>`) stand for each value of their list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    purpose: str = Field(min_length=20)
    key: str = Field(min_length=1)
    partitioning: Partitioning
    schema_name: str = Field(alias="schema", pattern=r"^([A-Z][A-Za-z0-9]*|any)$")  # Avro record, or any
    # Avro record under keys that start with NUL, which are no data.
    fence_schema_name: str | None = Field(default=None, alias="fence", pattern=r"^[A-Z][A-Za-z0-9]*$")
    also: tuple[str, ...] = ()  # Avro records that stand beside it, under keys of their own
    lanes: tuple[Lane, ...] = ()
    platforms: tuple[Platform, ...] = ()
    delays: tuple[RetryDelay, ...] = ()
    producers: Annotated[tuple[Annotated[Role, PlainValidator(role_of)], ...], Field(min_length=1)]
    consumers: Annotated[tuple[Annotated[Role, PlainValidator(role_of)], ...], Field(min_length=1)]
    partitions: Literal["kafka.partitions"] | Annotated[int, Field(ge=1, strict=True)]
    cleanup: Literal["delete", "compact", "compact,delete"]
    retention_seconds: int | None = Field(default=None, ge=3600)
    delete_retention_seconds: int | None = Field(default=None, ge=3600)
    min_cleanable_dirty_ratio: float | None = Field(default=None, gt=0, le=1)
    max_compaction_lag_seconds: int | None = Field(default=None, ge=3600)
    min_compaction_lag_seconds: int | None = Field(default=None, ge=60)  # compact: records so young stay as they are
    timestamps: Literal["producer", "broker"] = "producer"  # whose clock stamps the records
    max_message_bytes: int = Field(ge=1024)
    personal_data: tuple[PersonalData, ...]
    dead_letter_twin: bool
    retired: bool = False  # no longer wanted: never created, deleted by `apply --delete`

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for placeholder, values in self._expansions.items():
            if (f"<{placeholder}>" in self.name) != bool(values):
                raise ValueError(f"name: <{placeholder}> and the list {placeholder}s belong together")
            if len(set(values)) != len(values):
                raise ValueError(f"{placeholder}s: a value stands twice")
        for topic in self.names():
            if not NAME.fullmatch(topic):
                raise ValueError(f"name: {topic!r} has other characters than [a-zA-Z0-9._-]")
            if len(dead_letter(topic)) > MAX_NAME_CHARS:
                raise ValueError(f"name: {topic!r} and its dead-letter suffix exceed {MAX_NAME_CHARS} characters")
        compaction = (self.delete_retention_seconds, self.min_cleanable_dirty_ratio, self.max_compaction_lag_seconds)
        if self.cleanup == "delete" and (self.retention_seconds is None or compaction != (None, None, None)):
            raise ValueError("cleanup: delete needs retention_seconds and takes no compaction settings")
        if self.cleanup == "compact" and (self.retention_seconds is not None or None in compaction):
            raise ValueError(
                "cleanup: compact needs delete_retention_seconds, min_cleanable_dirty_ratio and"
                " max_compaction_lag_seconds, and takes no retention_seconds"
            )
        if self.cleanup == "compact,delete" and (self.retention_seconds is None or None in compaction):
            raise ValueError("cleanup: compact,delete needs the settings of both")
        if self.min_compaction_lag_seconds is not None and self.cleanup == "delete":
            raise ValueError("min_compaction_lag_seconds: belongs to cleanup: compact")
        if (self.partitioning is Partitioning.SINGLE) != (self.partitions == 1):
            raise ValueError("partitioning: single and partitions: 1 belong together")
        return self

    @property
    def _expansions(self) -> dict[str, tuple[str, ...]]:
        return {"platform": self.platforms, "lane": self.lanes, "delay": self.delays}

    def names(self) -> Iterator[str]:
        """Physical names, in the order of the lists."""
        used = {placeholder: values for placeholder, values in self._expansions.items() if values}
        for combination in product(*used.values()):
            name = self.name
            for placeholder, value in zip(used, combination, strict=True):
                name = name.replace(f"<{placeholder}>", value)
            yield name

    def topics(self) -> Iterator[Topic]:
        """Physical topics, each followed by its dead-letter twin."""
        settings = self._settings()
        fixed = None if self.partitions == "kafka.partitions" else self.partitions
        for name in self.names():
            yield Topic(name, self, self.producers, self.consumers, fixed, settings, source=None)
            if self.dead_letter_twin:
                agents = tuple(role for role in self.consumers if role in AGENT_ROLES)
                yield Topic(
                    dead_letter(name),
                    self,
                    agents,
                    (Outsider.OPERATORS,),
                    fixed,
                    self._dead_letter_settings(),
                    source=name,
                )

    def _settings(self) -> dict[str, str]:
        settings = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_message_bytes)}
        if self.retention_seconds is not None:
            settings |= _retention(self.retention_seconds)
        if self.delete_retention_seconds is not None:
            settings["delete.retention.ms"] = str(self.delete_retention_seconds * 1000)
        if self.min_cleanable_dirty_ratio is not None:
            settings["min.cleanable.dirty.ratio"] = str(self.min_cleanable_dirty_ratio)
        if self.max_compaction_lag_seconds is not None:
            settings["max.compaction.lag.ms"] = str(self.max_compaction_lag_seconds * 1000)
        if self.min_compaction_lag_seconds is not None:
            settings["min.compaction.lag.ms"] = str(self.min_compaction_lag_seconds * 1000)
        if self.timestamps == "broker":
            settings["message.timestamp.type"] = "LogAppendTime"
        return settings

    def _dead_letter_settings(self) -> dict[str, str]:
        return {
            "cleanup.policy": "delete",
            "max.message.bytes": str(self.max_message_bytes + DEAD_LETTER_EXTRA_BYTES),
            # A letter is written with the time of its record, which may be days old: its own time is what is asked
            # for, and what its retention counts from. The record's is in the header `push.errors.first-seen`.
            "message.timestamp.type": "LogAppendTime",
        } | _retention(DEAD_LETTER_RETENTION_SECONDS)


def _retention(seconds: int) -> dict[str, str]:
    # Only closed segments are deleted. With Kafka's 7-day segments, 2 days of retention would keep up to 9 days.
    segment_seconds = min(DAY_SECONDS, seconds // 4)
    return {"retention.ms": str(seconds * 1000), "segment.ms": str(segment_seconds * 1000)}


@dataclass(frozen=True, slots=True)
class Topic:
    """A physical topic as it is wanted."""

    name: str
    family: TopicFamily
    producers: tuple[Role, ...]
    consumers: tuple[Role, ...]
    fixed_partitions: int | None  # None: as many as kafka.partitions says, co-partitioned with all such topics
    settings: Mapping[str, str]  # Kafka's own names and units
    source: str | None  # of a dead-letter topic: whose records it takes

    @property
    def schema(self) -> str:
        """Avro record name, or `any`."""
        return "any" if self.source else self.family.schema_name

    @property
    def retired(self) -> bool:
        return self.family.retired

    @property
    def co_partitioned(self) -> bool:
        return self.fixed_partitions is None

    def partitions(self, kafka_partitions: int) -> int:
        """Partition count where `kafka.partitions` is this."""
        return kafka_partitions if self.fixed_partitions is None else self.fixed_partitions

    def settings_at(self, replication_factor: int) -> dict[str, str]:
        """Topic settings; three or more copies demand two in sync, so that acks=all survives the loss of a broker."""
        settings = dict(self.settings)
        if replication_factor >= 3:
            settings["min.insync.replicas"] = "2"
        return settings


@dataclass(frozen=True)
class Topology:
    """All topics. Immutable."""

    families: tuple[TopicFamily, ...]

    @cached_property
    def topics(self) -> tuple[Topic, ...]:
        """Physical topics, dead-letter twins included, without retired ones."""
        return tuple(topic for topic in self.all_topics if not topic.retired)

    @cached_property
    def all_topics(self) -> tuple[Topic, ...]:
        """Physical topics, retired ones too."""
        return tuple(topic for family in self.families for topic in family.topics())

    @cached_property
    def by_name(self) -> Mapping[str, Topic]:
        return MappingProxyType({topic.name: topic for topic in self.topics})

    def topic(self, name: str) -> Topic:
        """Raises KeyError for a topic that is not ours."""
        return self.by_name[name]

    def for_producer(self, role: Role | str) -> tuple[Topic, ...]:
        """What a role may write, dead-letter topics of what it consumes included."""
        return tuple(topic for topic in self.topics if role in topic.producers)

    def for_consumer(self, role: Role | str) -> tuple[Topic, ...]:
        """What a role may read. (A stage may always read back what it writes itself: handover and ledger.)"""
        return tuple(topic for topic in self.topics if role in topic.consumers)
