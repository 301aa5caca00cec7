"""Words of the topology: who reads and writes, what is personal, and what chooses the partition."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Who reads and writes topics. The first eight are processes of ours."""

    REGISTRAR = "registrar"
    PLANNER = "planner"
    SENDER = "sender"
    SETTLER = "settler"
    KEEPER = "keeper"
    REPORTER = "reporter"
    GATEWAY = "gateway"
    CONSOLE = "console"
    APPLICATIONS = "applications"  # programs of the product's users
    OPERATORS = "operators"  # people with `pushcast send`, `device import`, `device show`, dead-letter tools
    AUDIT = "audit"


AGENT_ROLES: Final = frozenset(
    {
        Role.REGISTRAR,
        Role.PLANNER,
        Role.SENDER,
        Role.SETTLER,
        Role.KEEPER,
        Role.REPORTER,
        Role.GATEWAY,
        Role.CONSOLE,
    }
)


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
