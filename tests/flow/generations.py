"""Generations of consumer groups, as their coordinator writes them: a rebalance makes a new one.

No admin client tells a generation, and a member's log would be the word of the product. What is read here is the
coordinator's own log: `__consumer_offsets`, records of GroupMetadataKey (version 2) with GroupMetadataValue (0 to 3).
"""

from __future__ import annotations

from struct import unpack_from

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from flow.kafka_tools import read_all

TOPIC = "__consumer_offsets"
_GROUP_METADATA = 2
_KNOWN_VERSIONS = range(4)


def _string(value: bytes, at: int) -> tuple[str, int]:
    """A STRING of Kafka's protocol, and where the next field begins."""
    (size,) = unpack_from(">h", value, at)
    end = at + 2 + size
    return value[at + 2 : end].decode(), end


def generations(bootstrap_servers: str) -> dict[str, int]:
    """The latest of each group that had members."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    partitions = len(admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions)
    found: dict[str, int] = {}
    for message in read_all(bootstrap_servers, TOPIC, partitions):
        key, value = message.key() or b"", message.value()
        if value is None or unpack_from(">h", key)[0] != _GROUP_METADATA:
            continue
        assert unpack_from(">h", value)[0] in _KNOWN_VERSIONS, "this broker writes another form"
        group, _ = _string(key, 2)
        _, at = _string(value, 2)  # the protocol's type
        found[group] = unpack_from(">i", value, at)[0]
    return found


def stable(bootstrap_servers: str, members: int) -> set[str]:
    """Groups that are not being shared out now, and have so many members."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    listed = admin.list_consumer_groups(request_timeout=10).result(10).valid
    described = admin.describe_consumer_groups([each.group_id for each in listed], request_timeout=10)
    found = [future.result(10) for future in described.values()]
    return {each.group_id for each in found if each.state == ConsumerGroupState.STABLE and len(each.members) == members}
