"""What a hand-over needs of the consumer: commits of a claim, and how far outputs are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from pushcast.stream.batch import TP

if TYPE_CHECKING:
    pass


class Claims(Protocol):
    """`pushcast.stream.stage.Work`, as far as a claim needs it."""

    async def commit_now(self, partitions: Iterable[TP]) -> bool: ...


class OutputEnds(Protocol):
    """`pushcast.stream.stage.Work`, as far as a refresh needs it."""

    def partitions(self) -> list[TP]: ...
    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]: ...


class ClaimRefused(TimeoutError):
    """Kafka did not take the claim: no longer the owner, or not reachable. The transport tries again until revoked."""
