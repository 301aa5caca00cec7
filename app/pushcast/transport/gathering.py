"""When the consumer of a stage that nobody waits for lets records come together before it fetches again. Pure.

A fetch costs as much for one record as for a hundred: a request and its answer, two ways between threads, a batch, a
barrier. A stage that reads what many others, or itself, write a few records at a time, makes a thousand of them in a
second. aiokafka sends no request while an answer waits to be taken, so a pause before taking is one before fetching.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: An answer with so many records pays for itself, and more are likely to be there already.
ENOUGH_RECORDS: Final = 500


def gather_seconds(gather_ms: int, records: Iterable[int]) -> float:
    """How long to wait behind an answer with so many records, by partition; 0: fetch at once.

    The first record after a silence is taken when it comes; one that comes up to `gather_ms` behind another waits for
    as long at most.
    """
    count = sum(records)
    return gather_ms / 1000 if 0 < count < ENOUGH_RECORDS else 0.0
