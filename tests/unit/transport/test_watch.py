from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pushcast.kafka.topics.errors import ClusterUnavailable
from pushcast.kafka.topics.facts import ClusterFacts, TopicFacts
from pushcast.transport.watch import TopicWatch


def cluster(**ids: str) -> ClusterFacts:
    return ClusterFacts("c", {topic: TopicFacts(topic_id, 8) for topic, topic_id in ids.items()})


async def watched(*answers: ClusterFacts | None) -> tuple[TopicWatch, list[str]]:
    """After these answers, where None is a cluster that is away; the topics `a` and `b` had the ids 1 and 2."""
    left, over, anew = list(answers), asyncio.Event(), list[str]()
    loop = asyncio.get_running_loop()

    def ask(client: Mapping[str, Any], topics: Sequence[str]) -> ClusterFacts:
        assert sorted(topics) == ["a", "b"]
        if not left:
            loop.call_soon_threadsafe(over.set)
            raise ClusterUnavailable("over")
        answer = left.pop(0)
        if answer is None:
            raise ClusterUnavailable("away")
        return answer

    async def on_anew(topic: str) -> None:
        anew.append(topic)

    watch = TopicWatch({}, cluster(a="1", b="2"), ["a", "b", "not there"], on_anew, interval_seconds=0, ask=ask)
    task = asyncio.create_task(watch.run())
    await asyncio.wait_for(over.wait(), 10)
    task.cancel()
    return watch, anew


async def test_a_topic_that_was_made_again_is_told_by_its_id() -> None:
    _, anew = await watched(cluster(a="1", b="2"), cluster(a="1", b="3"))
    assert anew == ["b"]


async def test_a_deleted_topic_is_named_until_it_is_there_again() -> None:
    watch, anew = await watched(cluster(a="1"))
    (problem,) = watch.problems()
    assert problem.startswith("b does not exist since")
    assert anew == []
    watch, anew = await watched(cluster(a="1"), cluster(a="1", b="2"))
    assert (watch.problems(), anew) == ([], [])


async def test_a_cluster_that_does_not_answer_changes_nothing() -> None:
    watch, anew = await watched(None, cluster(a="1", b="2"))
    assert (watch.problems(), anew) == ([], [])


async def test_row_10_partitions_that_came_later_are_named_and_end_nothing() -> None:
    grown = ClusterFacts("c", {"a": TopicFacts("1", 8), "b": TopicFacts("2", 12)})
    watch, anew = await watched(grown, grown)
    (told,) = watch.degraded()
    assert told.startswith("b has 12 partitions by now: what is written to those from 8 on is not read")
    assert (watch.problems(), anew) == ([], [])
