from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import pytest

from pushcast.kafka.permits import _why


class Operation(Enum):
    READ = 1
    WRITE = 2
    ALL = 3


@dataclass
class Part:
    id: int
    leader: object | None = "broker 1"
    isr: list[str] = field(default_factory=lambda: ["broker 1"])


@dataclass
class Topic:
    authorized_operations: list[Operation] | None
    partitions: list[Part] = field(default_factory=lambda: [Part(0), Part(1)])


@pytest.mark.parametrize(
    ("topic", "refused"),
    [
        (Topic([Operation.READ, Operation.WRITE]), None),
        (Topic([Operation.ALL]), None),
        (Topic(None), None),
        (Topic([]), None),
        (Topic([Operation.READ]), "this process may not WRITE there"),
        (Topic([Operation.WRITE], [Part(0)]), "there is no such partition"),
        (Topic([Operation.WRITE], [Part(1, leader=None)]), "no broker leads it"),
        (Topic([Operation.WRITE], [Part(1, isr=[])]), "no broker leads it"),
    ],
)
def test_a_place_is_refused_for_want_of_a_permission_a_partition_or_a_leader(topic: Topic, refused: str | None) -> None:
    assert _why(topic, 1) == refused
