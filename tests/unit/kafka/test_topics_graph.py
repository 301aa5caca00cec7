from __future__ import annotations

from pushcast.kafka.topics import Topology, load_topology
from pushcast.kafka.topics.graph import render
from pushcast.kafka.topics.model import TopicFamily


def test_every_edge_of_a_family_is_drawn() -> None:
    page = render(load_topology())
    assert "  planner --> push_send_platform_lane_v1_topic\n" in page
    assert "  push_send_platform_lane_v1_topic --> sender\n" in page


def test_a_new_consumer_changes_the_page() -> None:
    families = load_topology().families
    receipt = next(family for family in families if family.name == "push.receipt.v1")
    changed = TopicFamily.model_validate(receipt.model_dump(by_alias=True) | {"consumers": ["registrar"]})
    others = tuple(family for family in families if family is not receipt)
    assert "push_receipt_v1_topic --> registrar" in render(Topology((*others, changed)))


def test_a_retired_family_is_not_drawn() -> None:
    family = load_topology().families[0]
    retired = TopicFamily.model_validate(family.model_dump(by_alias=True) | {"retired": True})
    assert family.name not in render(Topology((retired,)))
