"""Places of records as answers name them: TOPIC/PARTITION/OFFSET. Pure."""

from __future__ import annotations

from pushcast.gateway.problems import Problem


def read_record(text: str) -> tuple[str, int, int]:
    """(topic, partition, offset) of what answers call `record`. Raises Problem."""
    topic, _, rest = text.rpartition("/")
    topic, _, partition = topic.rpartition("/")
    if not topic or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in (partition, rest)):
        raise Problem("bad_request", "a record is TOPIC/PARTITION/OFFSET, as answers name it")
    return topic, int(partition), int(rest)
