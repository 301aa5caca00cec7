"""The stages of one App by topic, as the consumer finds them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol

from pushcast.stream.stage import BatchStage
from pushcast.stream.tracker import Bounds

#: Ends the process when somebody else has the id rightly.
IdLost = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A stage and how much uncompleted work each of its partitions may hold."""

    stage: BatchStage
    bounds: Bounds


class Entries(Protocol):
    """The transport of an App, as far as its consumer needs it (`transport.BatchTransport`)."""

    @property
    def stages(self) -> Mapping[str, StageEntry]:
        """By topic."""

    @property
    def gathered(self) -> Set[str]:
        """Topics of stages whose records nobody waits for."""

    @property
    def fetch_max_wait_ms(self) -> int:
        """How long a broker may hold a fetch back that has nothing to bring."""

    @property
    def gather_ms(self) -> int:
        """How long the consumer lets records come together behind a small answer (`gathering`); 0: not at all."""

    @property
    def on_id_lost(self) -> IdLost | None:
        """Awaited on the App's loop before a static id that was lost is taken again."""
