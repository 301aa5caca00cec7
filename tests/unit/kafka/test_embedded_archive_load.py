"""What a broker is asked while Java learns from it reaches every partition, in records of many sizes."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from pushcast.kafka.embedded import archive, archive_load


def test_every_partition_of_every_topic_gets_records() -> None:
    places = {(put.topic, put.partition) for put in islice(archive_load.puts(), 320)}
    assert places == {
        (topic, partition) for topic in archive_load.TOPICS for partition in range(archive_load.PARTITIONS)
    }


def test_records_have_many_sizes_and_keys_that_come_again() -> None:
    taken = list(islice(archive_load.puts(), 4_000))
    sizes = [len(put.value) for put in taken]
    assert (min(sizes), max(sizes)) == (50, 449)
    assert min(Counter(put.key for put in taken).values()) > 1


def test_it_ends_by_itself_before_it_is_ended() -> None:
    assert archive_load.SECONDS < archive.LOAD_TIMEOUT_SECONDS
