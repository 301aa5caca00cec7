"""Many keys at once have the partitions that they have one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.ids import partition_of
from pushcast.model.partitions import partitions_of

LENGTHS = st.lists(st.integers(0, 260), min_size=1, max_size=3)


@given(LENGTHS, st.integers(1, 20), st.integers(1, 64), st.data())
def test_many_keys_lie_where_each_of_them_lies(
    lengths: list[int], count: int, partitions: int, data: st.DataObject
) -> None:
    keys = [data.draw(st.binary(min_size=length, max_size=length)) for _ in range(count) for length in lengths]
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


def test_every_length_of_an_id_is_hashed_right_with_all_bits_set() -> None:
    for length in range(1, 257):
        keys = [b"\xff" * length, *(bytes((number,)) * length for number in range(20))]
        assert partitions_of(keys, 64) == [partition_of(key, 64) for key in keys]
