"""Which partitions a fetch hands out records of: asked when it does, not when it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from faust.types import TP


class WantedPartitions:
    """Passed to aiokafka instead of a set, because `in` is then evaluated when a fetch hands out.

    It must be truthy: aiokafka reads an empty set as "all partitions".
    """

    def __init__(self, wants: Callable[[TP], bool]) -> None:
        """`wants` is called from the consumer's thread."""
        self._wants = wants

    def __contains__(self, tp: object) -> bool:
        return self._wants(cast(TP, tp))
