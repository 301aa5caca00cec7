"""Whether what was handed to a provider may still leave: the caller's word, asked before each write to the network."""

from __future__ import annotations

from collections.abc import Callable

#: Called before each write, once per group of requests that are written together. On False those requests end as UNSENT
#: at once; the caller hands them over again when it may. Must not block.
MayLeave = Callable[[], bool]


def always() -> bool:
    """For callers whom nobody can replace."""
    return True
