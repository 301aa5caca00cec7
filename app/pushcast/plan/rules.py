"""Whether PLAN looks a user up once more. Pure."""

from __future__ import annotations


def is_young(written_at_ms: int, now_ms: int, *, again_seconds: float, younger_than_seconds: float) -> bool:
    """Whether a user without devices is looked up once more, after `again_seconds`: a registration that was written
    before the event may be on its way. 0 seconds: never."""
    return again_seconds > 0 and now_ms - written_at_ms < younger_than_seconds * 1000
