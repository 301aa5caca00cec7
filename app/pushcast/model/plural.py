"""Numbers with their nouns, for sentences that people read."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 breaker`, `2 keys`, `1,204 entries`."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        plural = f"{noun[:-1]}ies"
    else:
        plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
