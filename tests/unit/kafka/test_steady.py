"""A role asks an admin client nothing while a broker is away: librdkafka was seen to abort the process in it."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaException

from pushcast.kafka.positions import Positions
from pushcast.kafka.steady import HOLDS_SECONDS, Steady


class Admin:
    """Knows one broker, and who leads the partitions of one topic."""

    def __init__(self, port: int, topic: str = "push.parked.v1", leaders: tuple[int, ...] = (0, 0)) -> None:
        self.port, self.topic, self.leaders, self.asked = port, topic, leaders, 0

    def list_topics(self, timeout: float) -> Any:
        self.asked += 1
        partitions = {number: SimpleNamespace(leader=leader) for number, leader in enumerate(self.leaders)}
        return SimpleNamespace(
            brokers={0: SimpleNamespace(host="127.0.0.1", port=self.port)},
            topics={self.topic: SimpleNamespace(partitions=partitions)},
        )


@pytest.fixture
def port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def steady(admin: Admin, now: float = 0.0) -> Steady:
    return Steady(cast(Any, admin), lambda: now)


def test_a_whole_cluster_is_asked_and_looked_at_once_for_many_questions(port: int) -> None:
    admin, now = Admin(port), [100.0]
    looks = Steady(cast(Any, admin), lambda: now[0])
    looks.require()
    looks.require()
    assert admin.asked == 1
    now[0] += HOLDS_SECONDS
    looks.require()
    assert admin.asked == 2


@pytest.mark.parametrize("topic", ["push.parked.v1", "__consumer_offsets"])
@pytest.mark.parametrize("leader", [-1, 7])
def test_a_partition_without_a_leader_is_named(port: int, topic: str, leader: int) -> None:
    with pytest.raises(KafkaException, match=f"a partition of {topic} has no leader"):
        steady(Admin(port, topic, (0, leader))).require()


def test_topics_of_others_do_not_matter(port: int) -> None:
    steady(Admin(port, "orders", (-1,))).require()


def test_a_broker_that_takes_no_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        gone = closing.getsockname()[1]
    with pytest.raises(KafkaException, match=f"no broker answers at 127.0.0.1:{gone}"):
        steady(Admin(gone)).require()


def test_positions_of_a_role_ask_nothing_then() -> None:
    positions = Positions(cast(Any, Admin(1, leaders=(-1,))), wary=True)  # a question would raise AttributeError
    for ask in (lambda: positions.ends([("push.parked.v1", 0)]), lambda: positions.members(["pushcast-settle"])):
        with pytest.raises(KafkaException, match="has no leader"):
            ask()
    with pytest.raises(KafkaException, match="has no leader"):
        positions.committed("pushcast-settle", [("push.parked.v1", 0)])
