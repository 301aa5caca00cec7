"""Deliveries that are now or never: handed over once, soon, or ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.model.batch import Message
from pushcast.providers.port import Disposition
from pushcast.send.decide import DOUBTFUL, EXPIRED, Again, End, Later, Park


def last_moments(message: Message, now_or_never_ms: int) -> Sequence[int]:
    """Until when each target may be handed over, in milliseconds since the epoch: its expiry, or, for one that is now
    or never, so long after its notification was created."""
    targets = message.targets
    if not message.has_now_or_never():
        return targets.expires_at
    return [
        message.created_at[targets.notification[index]] + now_or_never_ms if message.is_now_or_never(index) else at
        for index, at in enumerate(targets.expires_at)
    ]


def parted(message: Message, targets: Sequence[int]) -> tuple[list[int], Sequence[int]]:
    """Those that are now or never, and the others."""
    if not message.has_now_or_never():
        return [], targets
    once = [target for target in targets if message.is_now_or_never(target)]
    return once, [target for target in targets if not message.is_now_or_never(target)]


def ended_now(verdict: End | Again | Later | Park, disposition: Disposition) -> End | Again:
    """The verdict on a delivery that is now or never: it gets no second hand-over, no rung and is not kept aside.

    What never left may be tried again in this process, as long as its last moment has not come.
    """
    if isinstance(verdict, End) or (isinstance(verdict, Again) and disposition is Disposition.UNSENT):
        return verdict
    return DOUBTFUL if verdict.doubtful else EXPIRED
