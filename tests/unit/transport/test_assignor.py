"""Row 10: partitions that a topic got later are dealt out to nobody, and the others stay beside their rows."""

from __future__ import annotations

from pathlib import Path

from pushcast.stream.batch import Bounds
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, add_devices_table, make_app

PARTITIONS = 4


class Cluster:
    """Metadata of the topics `in` and `devices`."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.counts[topic])) if topic in self.counts else None


async def dealt_out(data_dir: Path, cluster: Cluster) -> dict[str, dict[str, list[int]]]:
    """By member and topic."""
    app = make_app("group", bootstrap_servers="127.0.0.1:1", partitions=PARTITIONS, data_dir=data_dir)
    add_devices_table(app, "devices")
    add_batch_stage(app, ["in"], Stage(), bounds=Bounds())
    assignor = app.assignor
    wanted = assignor.metadata({"in", "devices"})  # type: ignore[attr-defined]
    found = assignor.assign(cluster, {"a": wanted, "b": wanted})  # type: ignore[attr-defined]
    return {
        member: {topic: sorted(partitions) for topic, partitions in given.assignment} for member, given in found.items()
    }


async def test_a_grown_topic_is_dealt_out_as_before_and_beside_its_table(tmp_path: Path) -> None:
    before = await dealt_out(tmp_path, Cluster(**{"in": PARTITIONS, "devices": PARTITIONS}))
    grown = await dealt_out(tmp_path, Cluster(**{"in": PARTITIONS + 8, "devices": PARTITIONS}))
    assert grown == before
    assert sorted(number for each in grown.values() for number in each["in"]) == list(range(PARTITIONS))
    assert all(set(each["in"]) <= set(each["devices"]) for each in grown.values())


async def test_a_topic_that_is_not_there_yet_is_left_out(tmp_path: Path) -> None:
    found = await dealt_out(tmp_path, Cluster(devices=PARTITIONS))
    assert not any("in" in each for each in found.values())
