"""How a stage takes partitions over: exactly, or not at all. One interface for both, so that stages ask no `if`."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

from pushcast.handover.looking_back import CopiesOf
from pushcast.handover.standing import NOT_REFUSED, Refused, Standing, encode
from pushcast.handover.tail import OwnTail
from pushcast.stream.batch import TP, Committed
from pushcast.stream.stage import Work
from pushcast.wire.headers import Headers


class Takeovers(Protocol):
    """Ownership of partitions; `table_claims.TableClaims` where a table is the tail. It belongs to the event loop."""

    async def take_over(self, work: Work, committed: Mapping[TP, Committed]) -> None:
        """Returns when predecessors are fenced off and their outputs are known. Errors are retried by the transport."""

    async def refresh(self, work: Work) -> None:
        """Looks up how far the outputs have been written by now. Raises OSError, TimeoutError among them."""

    def metadata(
        self, tp: TP, offset: int, origins: Mapping[str, int] | None = None, refused: Refused = NOT_REFUSED
    ) -> str:
        """What the commit of `offset` carries. `origins`: the fences of the source itself below it. `refused`: outputs
        of this partition that Kafka does not take now."""
        ...


class Known(Takeovers, Protocol):
    """… which know what became of a record; `ledgers.Ledgers` for SEND, whose outputs carry no origin."""

    def begin(self, tp: TP, offset: int) -> Set[bytes]:
        """A source record is about to be handled. Returns the items of it that are in the outputs already."""
        ...

    async def look_back(self, committed: Mapping[TP, Committed], copies_of: CopiesOf) -> None:
        """Reads the last records before these offsets, of which there may be copies. Errors as in `take_over`."""


class Exactness(Known, Protocol):
    """… and whose outputs can be fenced off; `runner.Handover`."""

    def origin(self, tp: TP) -> Headers:
        """Headers of every output of this partition while it is ours."""
        ...

    def unseen_from(self, tp: TP) -> int:
        """No item of a source record at or above this offset is in the outputs of a predecessor."""
        ...

    def note(self, tp: TP, first: int, last: int) -> None:
        """`begin` for source records `first` to `last` together, for a stage that asks `tail` itself."""

    def tail(self, tp: TP) -> OwnTail:
        """What predecessors wrote for source records that are not committed, by output topic."""
        ...


class Inexact:
    """The null object: nobody is fenced off and nothing is known to be there, so a kill repeats the last records.

    For tests of other things, and for the bench row that shows what exactness costs.
    """

    async def take_over(self, work: Work, committed: Mapping[TP, Committed]) -> None:
        """Knows nothing of predecessors."""

    async def look_back(self, committed: Mapping[TP, Committed], copies_of: CopiesOf) -> None:
        """Remembers nothing."""

    async def refresh(self, work: Work) -> None:
        """Has no positions."""

    def metadata(
        self, tp: TP, offset: int, origins: Mapping[str, int] | None = None, refused: Refused = NOT_REFUSED
    ) -> str:
        """Fences of the source and refused outputs alone."""
        return encode(Standing(origins=dict(origins or {}), refused=refused))

    def origin(self, tp: TP) -> Headers:
        """Outputs that nobody can void."""
        return []

    def begin(self, tp: TP, offset: int) -> Set[bytes]:
        """Nothing is there."""
        return frozenset()

    def unseen_from(self, tp: TP) -> int:
        """The beginning."""
        return 0

    def note(self, tp: TP, first: int, last: int) -> None:
        """Remembers nothing."""

    def tail(self, tp: TP) -> OwnTail:
        """An empty one."""
        return OwnTail("", committed_offset=0, fenced=0)
