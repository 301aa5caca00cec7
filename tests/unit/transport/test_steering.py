from __future__ import annotations

import pytest

from pushcast.transport.steering import RECOVERY_BYTES, RECOVERY_PARTITION_BYTES, recovery_bytes


@pytest.mark.parametrize("partitions", [0, 1, 8, 40, 400])
def test_what_tables_fetch_while_they_recover_does_not_grow_with_their_partitions(partitions: int) -> None:
    each = recovery_bytes(partitions)
    assert each * partitions <= RECOVERY_BYTES
    assert each == (RECOVERY_PARTITION_BYTES if partitions <= 8 else RECOVERY_BYTES // partitions)
