"""The name under which a group knows a process with a slot (`group.instance.id`)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s


def static_id(slot: str, topics: Iterable[str]) -> str:
    """Of the slot and of what the process subscribes to.

    A broker gives a static member that is back within the session timeout the partitions that it had, without asking
    what it subscribes to now. With the slot's name alone, a process that reads other topics than the one before it
    (another release, another configuration) would get none of the new ones, and would end on a partition of a topic
    that it does not know. With another id it is a new member: the group shares out again when the one before has left
    by its session timeout.
    """
    digest = blake2s("\n".join(sorted(set(topics))).encode(), digest_size=4)
    return f"{slot}-{digest.hexdigest()}"
