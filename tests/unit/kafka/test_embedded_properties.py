"""The broker's configuration."""

from __future__ import annotations

import pytest

from pushcast.kafka.embedded.properties import server_properties


def parsed(node: int, brokers: int) -> dict[str, str]:
    text = server_properties(node, range(9092, 9092 + brokers), range(9192, 9192 + brokers))
    pairs = [line.split("=", 1) for line in text.splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize(("brokers", "replicas", "in_sync"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (5, 3, 2)])
def test_everything_is_replicated_as_far_as_there_are_brokers(brokers: int, replicas: int, in_sync: int) -> None:
    values = parsed(1, brokers)
    assert {values[name] for name in values if "replication.factor" in name} == {str(replicas)}
    assert {values[name] for name in values if "min.isr" in name or "min.insync" in name} == {str(in_sync)}


def test_each_node_has_its_own_ports_and_knows_all_controllers() -> None:
    second = parsed(2, 3)
    assert second["node.id"] == "2"
    assert second["listeners"] == "PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:9193"
    assert second["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9093"
    assert second["controller.quorum.voters"] == "1@127.0.0.1:9192,2@127.0.0.1:9193,3@127.0.0.1:9194"
    assert second["controller.quorum.voters"] == parsed(3, 3)["controller.quorum.voters"]


def test_topics_are_never_made_by_accident_and_nothing_listens_outside() -> None:
    values = parsed(1, 1)
    assert values["auto.create.topics.enable"] == "false"
    assert "0.0.0.0" not in "".join(values.values())
    assert int(values["broker.heartbeat.interval.ms"]) * 2 <= int(values["broker.session.timeout.ms"])


def test_no_path_needs_escaping() -> None:
    values = parsed(1, 1)
    assert values["log.dirs"] == "data"
    assert not any("\\" in value or "/" in value.replace("://", "") for value in values.values())


def test_a_lone_broker_is_not_fenced_for_want_of_a_core_for_some_seconds() -> None:
    assert int(parsed(1, 1)["broker.session.timeout.ms"]) > int(parsed(1, 3)["broker.session.timeout.ms"])
