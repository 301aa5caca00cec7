"""A stage as a process hosts it: what it reads and in which group, what it needs, and how it is built.

A stage folder has a `stage.py` with `specs(settings, lanes, platforms)`; `runtime.roles` says which role runs it. What
hosting needs to know of a stage (topology, metrics, status, health) comes from its spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pushcast.config.settings import Settings
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.observe.metrics import Metrics
from pushcast.stream.cancelling import Cancels, NothingCancelled
from pushcast.stream.ports import Fatal, PositionedOutbox
from pushcast.stream.stage import BatchStage
from pushcast.stream.table import Derive, Table
from pushcast.stream.tracker import Bounds
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.schemas import SchemaSource


class Resource(Protocol):
    """What a process opens before its Apps start, and closes after they have ended."""

    async def start(self) -> None:
        """Opens it. Raises what makes a start impossible."""

    async def close(self) -> None:
        """Closes it. Raises nothing."""


@dataclass(slots=True)
class Host:
    """What a process gives the stages that it builds. Stages add their figures and resources to it."""

    settings: Settings
    outbox: PositionedOutbox
    clock: Clock
    control: ControlState  # read whole before the Apps start, then kept up to date
    schemas: SchemaSource | None  # None: Confluent frames are not readable
    metrics: Metrics
    fatal: Fatal
    cancels: Cancels = field(default_factory=NothingCancelled)  # a stage follows its partitions of the cancels
    resources: list[Resource] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Topics of a stage, and how much uncompleted work each of their partitions may hold. `gathered`: nobody waits for
    their records, which are fetched some times a second (`transport.gathered`)."""

    topics: tuple[str, ...]
    bounds: Bounds
    gathered: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A compacted topic that a stage reads as a table. `writer`: the stage whose fenced-off rows are kept out of it.
    `index`: the entries of a row in an index of the copy. `by_key`: its rows are asked for by whole keys, many of which
    have none. `gathered`: nobody waits for its rows, once it has recovered (`Subscription.gathered`)."""

    topic: str
    name: str = "devices"
    writer: str = ""
    index: Derive | None = None  # of a table with a writer
    by_key: bool = False
    gathered: bool = False


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage in one consumer group. `build` runs once in a process, before anything connects; the tables that it is
    given are in the order of `tables`. Stages of one group share an App and its tables: they name the same ones."""

    role: str
    group: str
    subscriptions: tuple[Subscription, ...]
    build: Callable[[Host, Sequence[Table]], BatchStage]
    tables: tuple[TableSpec, ...] = ()
    #: Topics that it writes, held against the topology at start. The outbox holds every record against it as well.
    produces: tuple[str, ...] = ()
    #: How long a record may be unfinished although all is well.
    waits_seconds: float = 0.0
    #: Options of the consumer that differ from the usual ones.
    fetch: Mapping[str, int] = field(default_factory=dict)


Specs = Callable[[Settings, Sequence[Lane], Sequence[Platform]], list[StageSpec]]
