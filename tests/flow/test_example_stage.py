"""docs/adding-a-stage.md, built: a stage in a folder of its own is hosted by its spec and exact over kill -9."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

from example_stage.echo.agent import ECHO, OUTPUT
from example_stage.echo.reads import SOURCE
from example_stage.worker import TOPOLOGY
from flow.kafka_tools import ensure_topics, produce, read_all, seen
from flow.processes import worker
from pushcast.handover.fences import Fences, author_of
from pushcast.kafka.topics import load_topology

PARTITIONS = 2
NOTES = 4_000
FILES = 10  # of a stage that reads one topic and writes another


def answers(kafka: str) -> Counter[str]:
    """Texts that count, by how often they are there."""
    found: Counter[str] = Counter()
    fences = [Fences() for _ in range(PARTITIONS)]
    for message in read_all(kafka, OUTPUT, PARTITIONS):
        author = author_of(cast(Any, message.headers()))
        if fences[cast(int, message.partition())].admit(author, cast(int, message.offset())):
            found[ECHO.decode(message.value() or b"")["text"]] += 1
    return found


async def test_every_note_is_answered_once_though_its_owners_are_killed(kafka: str, tmp_path: Path) -> None:
    ensure_topics(kafka, [SOURCE, OUTPUT, f"{SOURCE}.dlq"], PARTITIONS)
    options = {
        "kafka": {"bootstrap_servers": kafka, "partitions": PARTITIONS, "commit_interval_seconds": 5},
        "data_dir": str(tmp_path),
    }
    half = NOTES // 2
    for first in (0, half):
        notes = [(number % PARTITIONS, b"u", b"note %d" % number) for number in range(first, first + half)]
        produce(kafka, SOURCE, notes)
        async with worker("worker", package="example_stage", **options) as owner:
            await owner.ready()

            def more(done: int = first) -> bool:
                return len(answers(kafka)) > done

            await seen(more, "it answers")
            await owner.kill()  # with answers written whose offsets are not committed
    produce(kafka, SOURCE, [(0, b"u", b"\xff not UTF-8"), (0, b"u", b"the last")])
    async with worker("worker", package="example_stage", **options) as owner:
        await seen(lambda: "THE LAST" in answers(kafka) and len(answers(kafka)) == NOTES + 1, "all are answered")
        assert await owner.stop() == 0
    assert set(answers(kafka).values()) == {1}
    assert len(read_all(kafka, f"{SOURCE}.dlq", PARTITIONS)) == 1, "what is no note is a dead letter"


def test_a_stage_is_one_folder_with_its_schema_and_topic_files() -> None:
    folder = Path(__file__).parents[1] / "example_stage" / "echo"
    files = [path for path in folder.rglob("*.*") if path.suffix in {".py", ".yaml", ".avsc"}]
    assert len(files) <= FILES
    assert {SOURCE, OUTPUT} <= {topic.name for topic in TOPOLOGY.topics}
    assert not {SOURCE, OUTPUT} & {topic.name for topic in load_topology().topics}, "the product does not know it"
