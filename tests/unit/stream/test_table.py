from __future__ import annotations

from typing import cast

import pytest

from pushcast.stream.retrying import RETRIED
from pushcast.stream.table import Table, require_held


class Held:
    """A table of which this process has these partitions."""

    def __init__(self, *partitions: int) -> None:
        self.partitions = partitions

    def held(self, partition: int) -> bool:
        return partition in self.partitions


def test_a_stage_waits_for_partitions_of_its_table_that_the_assignor_left_out() -> None:
    table = cast(Table, Held(1, 3))
    require_held(table, [3, 1, 3])
    with pytest.raises(RETRIED, match=r"no partition \[2, 4\]"):
        require_held(table, [4, 3, 2, 4])
