"""Policy over the topic files of this release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from pushcast.kafka.producer import BATCH_BYTES
from pushcast.kafka.topics import Topology, load_topology
from pushcast.kafka.topics.graph import GRAPH_FILE, render
from pushcast.kafka.topics.model import TopicFamily
from pushcast.kafka.topics.policy import problems
from pushcast.kafka.topics.words import AGENT_ROLES
from pushcast.model.words import Lane, Platform
from pushcast.resources import data_dir
from pushcast.runtime.hosted import producible
from pushcast.runtime.roles import ROLES
from pushcast.wire import topics as names

ROOT = Path(__file__).parents[2]
SCHEMAS = {schema["name"]: schema for schema in map(json.loads, (p.read_text() for p in ROOT.glob("schemas/*.avsc")))}


def _changed(name: str, changes: dict[str, object]) -> Topology:
    """The real topology with one family changed."""
    families = []
    for family in load_topology().families:
        if family.name == name:
            family = TopicFamily.model_validate(family.model_dump(by_alias=True) | changes)
        families.append(family)
    return Topology(tuple(families))


def test_the_topic_files_keep_every_policy() -> None:
    assert problems(load_topology(), SCHEMAS) == []


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        (names.RECEIPT, {"schema": "Recipt"}, "schemas/ has no record Recipt"),
        (names.RECEIPT, {"schema": "any"}, "no topic carries Receipt"),
        (names.RECEIPT, {"dead_letter_twin": False}, "dead_letter_twin"),
        (names.PLANNED, {"consumers": ["audit"]}, "dead_letter_twin"),
        (names.RECEIPT, {"personal_data": ["user_id"]}, "fields of Receipt are device_id"),
        (names.RECEIPT, {"retention_seconds": 8 * 86_400}, "at most 604800 seconds"),
        (names.DEVICE, {"delete_retention_seconds": 86_400}, "for copies that were away"),
        (names.PARKED, {"name": "push.parked"}, "push.<words>.v<major>"),
    ],
)
def test_a_file_that_breaks_a_policy_is_named(name: str, changes: dict[str, object], problem: str) -> None:
    found = problems(_changed(name, changes), SCHEMAS)
    assert any(problem in sentence for sentence in found), found


def test_an_orphan_schema_is_found() -> None:
    assert problems(load_topology(), SCHEMAS | {"Orphan": {}}) == ["schemas: no topic carries Orphan"]


def test_every_name_that_stages_use_is_in_the_topology_and_none_is_left_over() -> None:
    used = {names.DEVICE_CHANGED, names.DEVICE, names.PLANNED, names.RECEIPT, names.TOKEN_INVALID, names.PARKED}
    used |= {names.TOKEN_HOLD, names.TOKEN_CLAIM, names.TOKEN_OWNER, names.TOKEN_EVICT, names.TOKEN_TOPICS}
    used |= {names.CONTROL, names.WHERE}
    used |= {name for lane in Lane for name in (names.broadcast(lane), names.walk(lane))}
    used |= {names.WALKED}
    used |= {
        names.ACTION,
        names.API_KEY,
        names.CANCEL,
        names.CONTROL,
        names.COUNTED,
        names.ENGAGEMENT,
        names.RECALLABLE,
        names.REPORT,
        names.USER,
    }
    used |= {topic for lane in Lane for topic in (names.keep(lane), names.due(lane))}
    used |= {names.notification(lane) for lane in Lane}
    used |= {names.send(platform, lane) for platform in Platform for lane in Lane}
    used |= {names.retry(delay) for delay in get_args(names.RetryDelay)}
    used |= {names.ticket(platform) for platform in names.TICKET_PLATFORMS}
    assert {topic.name for topic in load_topology().topics if topic.source is None} == used


def test_each_topic_that_a_stage_consumes_has_a_twin_with_room_for_the_headers() -> None:
    topology = load_topology()
    for topic in topology.topics:
        if topic.source is None and AGENT_ROLES & set(topic.consumers):
            twin = topology.topic(names.dead_letter(topic.name))
            size = int(topic.settings["max.message.bytes"])
            assert int(twin.settings["max.message.bytes"]) == size + 64 * 1024
            assert twin.settings["retention.ms"] == str(14 * 86_400_000)
            assert twin.settings["message.timestamp.type"] == "LogAppendTime", "a letter's own time"
            assert set(twin.producers) == AGENT_ROLES & set(topic.consumers)
            assert twin.co_partitioned == topic.co_partitioned


@pytest.mark.parametrize(
    ("topic", "cleanup", "retention_ms"),
    [
        ("push.notification.urgent.v1", "delete", 604_800_000),
        ("push.device.changed.v1", "delete", 604_800_000),
        ("push.device.v1", "compact", None),
        ("push.send.apns.bulk.v1", "delete", 172_800_000),
        ("push.planned.v1", "delete", 604_800_000),
        ("push.receipt.v1", "delete", 604_800_000),
        ("push.token.invalid.v1", "delete", 604_800_000),
        ("push.retry.30m.v1", "delete", 172_800_000),
        ("push.parked.v1", "delete", 172_800_000),
        ("push.control.v1", "compact", None),
        ("push.cancel.v1", "delete", 604_800_000),
    ],
)
def test_cleanup_and_retention_are_those_of_the_contract(topic: str, cleanup: str, retention_ms: int | None) -> None:
    settings = load_topology().topic(topic).settings
    assert settings["cleanup.policy"] == cleanup
    assert settings.get("retention.ms") == (None if retention_ms is None else str(retention_ms))


def test_only_what_is_read_whole_and_broadcasts_are_not_co_partitioned() -> None:
    single = {names.CONTROL, names.WHERE, names.API_KEY, names.ACTION, *map(names.broadcast, Lane)}
    found = {topic.name for topic in load_topology().topics if not topic.co_partitioned}
    assert found == single | set(map(names.dead_letter, single))


def test_broadcasts_have_the_brokers_time() -> None:
    topic = load_topology().topic(names.broadcast(Lane.BULK))
    assert topic.settings["message.timestamp.type"] == "LogAppendTime"


def test_examples_belong_to_a_schema() -> None:
    stems = {path.stem for path in ROOT.glob("schemas/*.avsc")}
    orphans = [path for path in (ROOT / "schemas" / "examples").glob("*") if path.name.split(".")[0] not in stems]
    assert orphans == []


def test_the_generated_graph_is_fresh() -> None:
    page = (data_dir("topology") / GRAPH_FILE).read_text(encoding="utf-8")
    assert page == render(load_topology()), "run `make graph`"


def test_every_topic_takes_a_whole_batch_of_our_producers() -> None:
    for family in load_topology().families:
        assert family.max_message_bytes >= 2 * BATCH_BYTES, family.name


@pytest.mark.parametrize("role", ROLES)
def test_every_role_with_stages_may_say_where_it_runs(role: str) -> None:
    """One that may not ends with exit code 70 as soon as it is ready."""
    assert names.WHERE in producible([role])
