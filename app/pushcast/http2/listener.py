"""What a connection is doing, and whom it tells."""

from __future__ import annotations

import enum
from typing import Protocol, TypeVar

from pushcast.http2.errors import ConnectionFault


class State(enum.Enum):
    """SETTLING until the server's SETTINGS; DRAINING takes no new requests."""

    SETTLING = "settling"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


Told = TypeVar("Told", contravariant=True)


class Listener(Protocol[Told]):
    """The pool, as its connections (`Told`) see it. Called on the loop."""

    def opened(self, connection: Told) -> None: ...

    def has_work(self) -> None:
        """Requests came back to the queue, or a draining connection made room for others."""

    def room_soon(self) -> None:
        """Some streams are free, too few to be worth a write: pump in a few milliseconds at the latest."""

    def answered(self, count: int, seconds: float) -> None:
        """So many answers came, which took so many seconds together: from when their requests had left until now."""

    def ended(self, connection: Told, fault: ConnectionFault) -> None: ...
