"""What a keeper's process gives to its stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pushcast.keep.exact import KeepHandover
from pushcast.model.clock import Clock
from pushcast.stream.edge import Count
from pushcast.stream.ports import CallLater, Fatal, Outbox
from pushcast.stream.table import Table


@dataclass(frozen=True, slots=True)
class KeepPorts:
    """`room`: returns when rows may be written. `call_later`: None: the event loop's."""

    table: Table
    outbox: Outbox
    clock: Clock
    exact: KeepHandover
    count: Count
    fatal: Fatal
    room: Callable[[], Awaitable[None]]
    call_later: CallLater | None = None
