"""Whether what was handed to a provider may still leave: the caller's word, asked before each write to the network."""

from __future__ import annotations

from collections.abc import Callable

#: Quick, and asked for many requests together where they leave together. What it says no to is UNSENT at once: whoever
#: refused knows when to hand it over again.
MayLeave = Callable[[], bool]


def always() -> bool:
    """For callers whom nobody can replace."""
    return True
