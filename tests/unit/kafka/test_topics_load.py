from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pushcast.kafka.topics import InvalidTopology, UndeclaredEdge, check_edges, load_topology, read_topology
from pushcast.model.roles import ProcessRole

GOOD: dict[str, object] = {
    "name": "push.thing.<lane>.v1",
    "purpose": "A topic for the tests of the loader.",
    "key": "user id",
    "partitioning": "key",
    "schema": "any",
    "lanes": ["urgent", "bulk"],
    "producers": ["applications"],
    "consumers": ["planner", "audit"],
    "partitions": "kafka.partitions",
    "cleanup": "delete",
    "retention_seconds": 86400,
    "max_message_bytes": 4096,
    "personal_data": [],
    "dead_letter_twin": True,
}


def _write(folder: Path, topic: object, name: str = "push.thing.lane.v1.yaml") -> Path:
    (folder / name).write_text(yaml.safe_dump(topic))
    return folder


def test_a_family_stands_for_each_lane_and_its_twin(tmp_path: Path) -> None:
    topology = read_topology(_write(tmp_path, GOOD))
    assert [topic.name for topic in topology.topics] == [
        "push.thing.urgent.v1",
        "push.thing.urgent.v1.dlq",
        "push.thing.bulk.v1",
        "push.thing.bulk.v1.dlq",
    ]


def test_a_twin_is_written_by_the_stages_that_consume_its_source(tmp_path: Path) -> None:
    twin = read_topology(_write(tmp_path, GOOD)).topic("push.thing.bulk.v1.dlq")
    assert (twin.source, twin.schema) == ("push.thing.bulk.v1", "any")
    assert twin.producers == (ProcessRole.PLANNER,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpse": "x"}, "purpse: Extra inputs are not permitted"),
        ({"lanes": []}, "<lane> and the list lanes belong together"),
        ({"delays": ["10s"]}, "<delay> and the list delays belong together"),
        ({"lanes": ["urgent", "urgent"]}, "lanes: a value stands twice"),
        ({"lanes": ["slow"]}, r"lanes\.0"),
        ({"consumers": ["somebody"]}, r"consumers\.0: .*'somebody' is not one of registrar, planner,"),
        ({"consumers": []}, "consumers"),
        ({"retention_seconds": None}, "needs retention_seconds"),
        ({"cleanup": "compact"}, "cleanup: compact needs"),
        ({"min_cleanable_dirty_ratio": 0.5}, "takes no compaction settings"),
        ({"partitions": 1}, "partitioning: single and partitions: 1 belong together"),
        ({"partitions": "8"}, "partitions"),
        ({"name": "push.thing/<lane>.v1"}, "other characters"),
        ({"name": "push." + "x" * 240 + "<lane>"}, "exceed 249 characters"),
        ({"schema": "thing.avsc"}, "schema"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidTopology, match=rf"^push\.thing\.lane\.v1\.yaml: .*{message}"):
        read_topology(_write(tmp_path, GOOD | change))


def test_a_file_that_is_not_yaml_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "push.thing.lane.v1.yaml").write_text("{")
    with pytest.raises(InvalidTopology, match=r"^push\.thing\.lane\.v1\.yaml: not YAML"):
        read_topology(tmp_path)


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTopology, match=r"must be called push\.thing\.lane\.v1\.yaml"):
        read_topology(_write(tmp_path, GOOD, "thing.yaml"))


def test_two_files_for_one_topic_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    plain = {key: value for key, value in GOOD.items() if key != "lanes"} | {"name": "push.thing.bulk.v1"}
    with pytest.raises(InvalidTopology, match=r"^push\.thing\.bulk\.v1: 2 files"):
        read_topology(_write(tmp_path, plain, "push.thing.bulk.v1.yaml"))


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTopology, match="no topic file"):
        read_topology(tmp_path)


def test_the_topology_is_read_once() -> None:
    assert load_topology() is load_topology()


def test_what_the_topology_says_is_allowed() -> None:
    check_edges(
        "sender",
        ["push.send.apns.urgent.v1", "push.control.v1"],
        ["push.receipt.v1", "push.retry.1m.v1", "push.send.apns.urgent.v1.dlq"],
    )


@pytest.mark.parametrize(
    ("consumed", "produced", "message"),
    [
        (["push.planned.v1"], [], r"sender consumes push\.planned\.v1, but .*push\.planned\.v1\.yaml"),
        ([], ["push.device.v1"], r"sender produces push\.device\.v1, but .*push\.device\.v1\.yaml"),
        ([], ["push.planned.v1.dlq"], r"sender produces push\.planned\.v1\.dlq, but .*push\.planned\.v1\.yaml"),
        (["elsewhere"], [], r"sender consumes elsewhere, but no file"),
    ],
)
def test_an_edge_that_the_topology_does_not_say_is_refused(
    consumed: list[str], produced: list[str], message: str
) -> None:
    with pytest.raises(UndeclaredEdge, match=message):
        check_edges("sender", consumed, produced)
