"""What a quick count of one partition says of all of them. Pure."""

from __future__ import annotations

from math import sqrt
from typing import Any


def estimated(found: dict[str, Any], partitions: int) -> dict[str, Any]:
    """The figures of a `Progress` whose walk passed one partition, for all.

    `error` is one standard deviation, as a share of `devices`: users are spread over partitions evenly and
    independently. None where nobody was found, because then nothing is known of how many there are.
    """
    counted = found["planned"] + found["held_out"]
    return {
        "devices": counted * partitions,
        "users": found["users"] * partitions,
        "per_platform": _times(found["per_platform"], partitions),
        "per_variant": _times(found["per_variant"], partitions),
        "holdout": found["held_out"] * partitions,
        "left_out": _times(found["left_out"], partitions),
        "error": None if not counted else round(sqrt((1 - 1 / partitions) / counted), 4),
    }


def _times(counts: dict[str, int], partitions: int) -> dict[str, int]:
    return {name: count * partitions for name, count in counts.items()}
