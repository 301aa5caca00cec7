"""A role asks an admin client nothing while a broker is away: librdkafka was seen to abort the process in it."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

from pushcast.kafka.positions import Positions
from pushcast.kafka.steady import CALM_SECONDS, HOLDS_SECONDS, Steady
from twins.leaders import topic_with


class Admin:
    """Knows one broker, and who leads the partitions of one topic."""

    def __init__(self, port: int, topic: str = "push.parked.v1", leaders: tuple[int, ...] = (0, 0)) -> None:
        self.port, self.topic, self.leaders, self.asked = port, topic, leaders, 0
        self.also = 0  # another name of the same broker

    def list_topics(self, timeout: float) -> Any:
        self.asked += 1
        partitions = {number: SimpleNamespace(leader=leader) for number, leader in enumerate(self.leaders)}
        return SimpleNamespace(
            brokers=dict.fromkeys({0, self.also}, SimpleNamespace(host="127.0.0.1", port=self.port)),
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


def test_leaders_that_have_changed_are_left_to_settle(port: int) -> None:
    """An admin client that asks a broker which is behind its leaders' epochs aborts the process."""
    admin, now = Admin(port), [100.0]
    looks = Steady(cast(Any, admin), lambda: now[0])
    looks.require()
    admin.leaders = (0, 0, 0)  # one more partition is no change
    now[0] += HOLDS_SECONDS
    looks.require()
    admin.leaders, admin.also = (0, 1, 0), 1
    now[0] += HOLDS_SECONDS
    with pytest.raises(KafkaException, match="leaders changed"):
        looks.require()
    now[0] += CALM_SECONDS - 1
    with pytest.raises(KafkaException, match="leaders changed"):
        looks.require()
    now[0] += 1
    looks.require()


def test_a_cluster_that_was_not_whole_is_left_to_settle(port: int) -> None:
    admin, now = Admin(port, leaders=(0, -1)), [100.0]
    looks = Steady(cast(Any, admin), lambda: now[0])
    with pytest.raises(KafkaException, match="has no leader"):
        looks.require()
    admin.leaders = (0, 0)
    now[0] += 1
    with pytest.raises(KafkaException, match="leaders changed"):
        looks.require()
    now[0] += CALM_SECONDS
    looks.require()


def test_topics_of_others_do_not_matter(port: int) -> None:
    steady(Admin(port, "orders", (-1,))).require()


def test_a_broker_that_takes_no_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        gone = closing.getsockname()[1]
    with pytest.raises(KafkaException, match=f"no broker answers at 127.0.0.1:{gone}"):
        steady(Admin(gone)).require()


def no_reader() -> Any:
    """A question would come to this."""
    raise AssertionError


class Reader:
    """Answers for every partition; the topic that is asked about is not all there is, and one is not there."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, int, int]]] = []

    def offsets_for_times(self, wanted: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked.append([(at.topic, at.partition, at.offset) for at in wanted])
        return [TopicPartition(at.topic, at.partition, {OFFSET_END: 7, 5: -1}.get(at.offset, 3)) for at in wanted]

    def list_topics(self, topic: str | None, timeout: float) -> Any:
        return topic_with("push.parked.v1", [1, 1])


def test_a_role_asks_a_consumer_for_offsets_of_all_that_is_there_together(port: int) -> None:
    reader = Reader()
    spots = [("push.parked.v1", 0), ("push.gone.v1", 0), ("push.parked.v1", 1), ("push.parked.v1", 2)]
    positions = Positions(cast(Any, Admin(port)), lambda: cast(Any, reader), no_reader, wary=True)
    assert positions.ends(spots) == {("push.parked.v1", 0): 7, ("push.parked.v1", 1): 7}
    assert positions.starts(spots) == {("push.parked.v1", 0): 3, ("push.parked.v1", 1): 3}
    assert positions.at({("push.parked.v1", 0): 4, ("push.parked.v1", 1): 5}) == {("push.parked.v1", 0): 3}
    assert reader.asked[0] == [("push.parked.v1", 0, OFFSET_END), ("push.parked.v1", 1, OFFSET_END)]


def test_positions_of_a_role_ask_nothing_then() -> None:
    positions = Positions(cast(Any, Admin(1, leaders=(-1,))), no_reader, no_reader, wary=True)
    for ask in (lambda: positions.ends([("push.parked.v1", 0)]), lambda: positions.members(["pushcast-settle"])):
        with pytest.raises(KafkaException, match="has no leader"):
            ask()
    with pytest.raises(KafkaException, match="has no leader"):
        positions.committed("pushcast-settle", [("push.parked.v1", 0)])
