"""Row 10: a topic gets more partitions under a running group. The first ones go on, wherever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from flow.kafka_tools import create_topic, produce, running, until
from flow.test_transport import PARTITIONS, Collect
from pushcast.stream.batch import Bounds
from pushcast.transport.app import add_batch_stage, add_devices_table, make_app

GROWN = PARTITIONS + 2


@pytest.mark.parametrize("with_table", [True, False], ids=["faust's assignor", "aiokafka's assignor"])
async def test_row_10_after_a_topic_has_grown_its_first_partitions_go_on_beside_their_rows(
    with_table: bool, kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    devices = create_topic(kafka, unique("devices"), PARTITIONS, cleanup_policy="compact")
    stages = [Collect(), Collect()]
    apps, tables = [], []
    for number, stage in enumerate(stages):
        app = make_app(group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=tmp_path / str(number))
        if with_table:
            tables.append(add_devices_table(app, devices))
        add_batch_stage(app, [topic], stage, bounds=Bounds())
        apps.append(app)
    async with running(apps[0]):
        admin = AdminClient({"bootstrap.servers": kafka})  # lives as long as its question
        grown = admin.create_partitions([NewPartitions(topic, GROWN)])
        await asyncio.to_thread(grown[topic].result, 10)
        async with running(apps[1]):  # it comes with the new number
            await asyncio.to_thread(produce, kafka, topic, [(at, None, b"%d" % at) for at in range(GROWN)])

            def seen() -> set[bytes | None]:
                return {value for stage in stages for value in stage.values}

            known = {b"%d" % at for at in range(PARTITIONS)}
            await until(lambda: seen() >= known, "the first partitions are handled")
            owned = [{tp.partition for tp in stage.work.partitions()} for stage in stages]
            assert owned[0] | owned[1] == set(range(PARTITIONS))
            assert all(table.held(at) for table, mine in zip(tables, owned, strict=False) for at in mine)
            assert seen() == known
