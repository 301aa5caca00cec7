"""Words of the topology: who reads and writes, what is personal, and what chooses the partition."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from pushcast.model.roles import ProcessRole


class Outsider(StrEnum):
    """Who reads and writes topics besides our processes."""

    APPLICATIONS = "applications"  # programs of the product's users
    OPERATORS = "operators"  # people with `pushcast send`, `device import`, `device show`, dead-letter tools
    AUDIT = "audit"


#: Who reads and writes topics.
Role: TypeAlias = ProcessRole | Outsider
AGENT_ROLES: Final = frozenset(ProcessRole)
ROLES: Final[tuple[Role, ...]] = (*ProcessRole, *Outsider)


def role_of(name: object) -> Role:
    """The role that a topic's file names. Raises ValueError, which says which there are."""
    for role in ROLES:
        if role == name:
            return role
    raise ValueError(f"{name!r} is not one of {', '.join(map(str, ROLES))}")


class PersonalData(StrEnum):
    """What a topic's records say about people: for access rules, erasure and retention."""

    USER_ID = "user_id"
    DEVICE_ID = "device_id"
    TOKEN = "token"  # noqa: S105 - a kind of data, not a secret
    CONTENT = "content"
    LOCALE = "locale"


class Partitioning(StrEnum):
    """Which partition a record goes to."""

    KEY = "key"  # (murmur2(key) & 0x7fffffff) mod P, as the Java client does
    SOURCE = "source"  # that of the record it came from
    USER = "user"  # that of the user in the key
    SINGLE = "single"
