"""What a stage needs of the cancels of its partitions, and what stands for it where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pushcast.wire.control.cancel_state import CancelState


class Cancels(Protocol):
    """`kafka.cancels.CancelTail`. `state` belongs to the event loop."""

    state: CancelState

    async def follow(self, partitions: Iterable[int]) -> None:
        """Returns when everything is applied that was written to these partitions of the cancels before. From then on
        they are followed. Raises ConnectionError when Kafka does not give them."""
        ...


class NothingCancelled:
    """For a stage without Kafka: nobody cancels anything."""

    def __init__(self, state: CancelState | None = None) -> None:
        """`state`: of whoever tells it of cancels all the same."""
        self.state = state or CancelState()

    async def follow(self, partitions: Iterable[int]) -> None:
        """There is nothing to read."""
