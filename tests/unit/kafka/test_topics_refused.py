"""What `topology apply` says when a cluster refuses, or does not do what it was told."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType

from pushcast.kafka.topics import ClusterUnavailable, TopicAction, TopicChange, cluster, load_topology
from pushcast.kafka.topics.diff import SettingChange, still_to_do

TOPOLOGY = load_topology()


def answer(code: int | None = None, reason: str = "") -> Future[None]:
    future = Future[None]()
    if code is None:
        future.set_result(None)
    else:
        future.set_exception(KafkaException(KafkaError(code, reason)))
    return future


def test_a_refusal_names_its_topics_and_every_reason() -> None:
    few = "Unable to replicate the partition 3 time(s)"
    answers: dict[Any, Future[None]] = {
        "push.a.v1": answer(KafkaError.INVALID_REPLICATION_FACTOR, few),
        "push.b.v1": answer(),
        "push.c.v1": answer(KafkaError.POLICY_VIOLATION, "segment.ms is not yours"),
        "push.d.v1": answer(KafkaError.TOPIC_ALREADY_EXISTS, "there"),
        ConfigResource(ResourceType.TOPIC, "push.e.v1"): answer(KafkaError.INVALID_REPLICATION_FACTOR, few),
    }
    with pytest.raises(ClusterUnavailable) as caught:
        cluster._wait(answers)
    assert str(caught.value).splitlines() == [
        "Kafka did not answer or refused:",
        f"  push.a.v1 and 1 more topic: {few}",
        "  push.c.v1: segment.ms is not yours",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (TopicChange(TopicAction.CREATE, "t", 8, 1), "t: it is not there"),
        (TopicChange(TopicAction.DELETE, "t", reason="its file says retired"), "t: it is still there"),
        (TopicChange(TopicAction.REFUSE, "t", reason="it has 4 partitions"), "t: it has 4 partitions"),
        (
            TopicChange(
                TopicAction.ALTER,
                "t",
                settings={
                    "segment.ms": SettingChange("14400000", "3600000"),
                    "min.insync.replicas": SettingChange("2", None),
                },
            ),
            "t: min.insync.replicas is 2 and should be the default, segment.ms is 14400000 and should be 3600000",
        ),
    ],
    ids=lambda value: value.action if isinstance(value, TopicChange) else "",
)
def test_a_cluster_that_does_not_show_a_change_is_told_with_what_it_shows(change: TopicChange, said: str) -> None:
    assert still_to_do(change) == said


class Admins:
    """Clients of a cluster with these brokers; those of `away` answer nothing, the others know every topic."""

    def __init__(self, away: set[str]) -> None:
        self.away = away
        self.asked: list[str] = []

    def open(self, client: dict[str, Any]) -> Any:
        server = client["bootstrap.servers"]
        self.asked.append(server)

        def list_topics(timeout: float) -> Any:
            if server in self.away:
                raise KafkaException(KafkaError(KafkaError._TRANSPORT, "connection refused"))
            led = SimpleNamespace(leader=1)
            topics = {
                topic.name: SimpleNamespace(partitions=dict.fromkeys(range(topic.partitions(4)), led))
                for topic in TOPOLOGY.topics
            }
            return SimpleNamespace(topics=topics)

        return SimpleNamespace(list_topics=list_topics)


def unseen(monkeypatch: pytest.MonkeyPatch, hosts: list[str], away: set[str]) -> tuple[list[str], list[str]]:
    admins = Admins(away)
    brokers = {number: SimpleNamespace(host=host, port=19092) for number, host in enumerate(hosts, 1)}
    monkeypatch.setattr(cluster, "open_admin", admins.open)
    monkeypatch.setattr(cluster, "cluster_metadata", lambda *_: SimpleNamespace(brokers=brokers))
    admin: Any = None
    return cluster._unseen({"bootstrap.servers": "x:1"}, admin, TOPOLOGY, 4, 1.0), admins.asked


def test_a_broker_that_starts_again_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = unseen(monkeypatch, ["one", "two"], {"two:19092"})
    assert set(found) == {"broker 2 at two:19092: connection refused"}
    # As many as when it is there and knows no topic yet: what it learns then is progress.
    assert len(found) == len(TOPOLOGY.topics)
    with pytest.raises(ClusterUnavailable) as caught:
        cluster._poll(lambda: found, 0.0, "not every broker knows every topic")
    assert str(caught.value) == "not every broker knows every topic: broker 2 at two:19092: connection refused"


def test_a_broker_with_an_ipv6_address_is_asked_at_its_own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    # librdkafka takes ::1:19092 for a host, and asks it at port 9092
    assert unseen(monkeypatch, ["::1"], set()) == ([], ["[::1]:19092"])
