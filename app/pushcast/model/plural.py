"""Numbers with their nouns, for sentences that people read."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 breaker`, `2 breakers`, `1,204 entries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
