"""Where the senders of a lane stand, as stages ask that are ahead of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

#: Senders that restart stand still for seconds. Where something waits and they have not moved for so long there are
#: none: nobody waits for them any more.
GONE_SECONDS: Final = 60.0


class LaneSenders(Protocol):
    """Of one lane (`kafka.group_offsets`)."""

    async def committed(self, partitions: list[int]) -> Mapping[int, Mapping[str, int]]:
        """By partition and platform: the offset below which everything is taken. Raises ConnectionError."""
        ...
