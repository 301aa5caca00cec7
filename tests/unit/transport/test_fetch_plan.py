"""What a consumer asks its brokers for."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest
from faust.types import TP

from pushcast.transport import fetch_plan
from pushcast.transport.fetch_plan import (
    RECOVERY_BYTES,
    RECOVERY_PARTITION_BYTES,
    SHORT_FETCH_MAX_WAIT_MS,
    FetchPlan,
    recovery_bytes,
)
from pushcast.transport.jumps import Jumps


@pytest.mark.parametrize("partitions", [0, 1, 8, 40, 400])
def test_what_tables_fetch_while_they_recover_does_not_grow_with_their_partitions(partitions: int) -> None:
    each = recovery_bytes(partitions)
    assert each * partitions <= RECOVERY_BYTES
    assert each == (RECOVERY_PARTITION_BYTES if partitions <= 8 else RECOVERY_BYTES // partitions)


class Fetcher:
    """aiokafka's, which plans one request for each broker. `leaders`: by topic."""

    def __init__(self, **leaders: int) -> None:
        self._records: OrderedDict[Any, Any] = OrderedDict()
        self._max_partition_fetch_bytes = 256
        self._fetch_max_wait_ms = 0
        self._client: Any = object()
        self.leaders = leaders

    def _set_error(self, tp: TP, error: Exception) -> None:
        raise error

    def _select_read_replica(self, tp: TP) -> int:
        return self.leaders[tp.topic]

    def _get_actions_per_node(self, assignment: Any) -> Any:
        asked: dict[int, list[Any]] = {}
        for tp in assignment.tps:
            if tp not in self._records:
                each = tp.topic, [(tp.partition, assignment.state_value(tp), self._max_partition_fetch_bytes)]
                asked.setdefault(self.leaders[tp.topic], []).append(each)
        requests = [
            (broker, FetchRequest(self._fetch_max_wait_ms, 1, 1 << 20, 1, topics)) for broker, topics in asked.items()
        ]
        return requests, {}, 0.2, False, []


class Asking:
    fetch_max_wait_ms = 500
    recovering = False

    def __init__(self, gathered: set[str], paused: set[str]) -> None:
        self.partitions: dict[Any, Any] = {}
        self.gathered = gathered
        self.paused = paused

    def tails(self) -> dict[TP, int]:
        return {}

    def wants(self, tp: TP) -> bool:
        return tp.topic not in self.paused


def plan(fetcher: Fetcher) -> Any:
    """Requests by broker, and what else aiokafka's own plan says."""
    tps = [TP(topic, 0) for topic in fetcher.leaders]
    requests, *others = fetcher._get_actions_per_node(SimpleNamespace(tps=tps, state_value=lambda _: 5))
    return dict(requests), *others


def asked(fetcher: Fetcher) -> tuple[list[str], int, int]:
    """Topics, bytes of each partition, and how long the broker may wait: of the only request."""
    [request] = plan(fetcher)[0].values()
    return [topic for topic, _ in request.topics], request.topics[0][1][0][2], request._max_wait_ms


def planned(
    *, gathered: set[str] | None = None, paused: set[str] | None = None, **leaders: int
) -> tuple[Fetcher, Asking]:
    fetcher, asking = Fetcher(**(leaders or {"a": 1, "b": 1})), Asking(gathered or set(), paused or set())
    FetchPlan(fetcher, asking, Jumps())
    return fetcher, asking


def test_topics_that_nobody_waits_for_are_left_out_of_a_short_request_until_it_is_their_turn() -> None:
    fetcher, _ = planned(gathered={"b"})
    assert asked(fetcher) == (["a", "b"], 256, 500)
    topics, _, wait_ms = asked(fetcher)
    assert topics == ["a"]
    assert 0 < wait_ms <= 50


def test_while_tables_recover_they_are_in_every_request() -> None:
    fetcher, asking = planned(gathered={"b"})
    asking.recovering = True
    assert [asked(fetcher)[0] for _ in range(3)] == [["a", "b"]] * 3
    asking.recovering = False
    assert [asked(fetcher)[0] for _ in range(2)] == [["a", "b"], ["a"]]


def test_of_such_a_topic_that_brings_much_more_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher, _ = planned(gathered={"b"})
    monkeypatch.setattr(fetch_plan, "fetched_bytes", lambda result: result.size)
    plan(fetcher)
    waiting = SimpleNamespace(_backoff=0, size=127)
    fetcher._records[TP("b", 0)] = waiting
    plan(fetcher)
    fetcher._records.clear()
    assert asked(fetcher)[0] == ["a"]
    fetcher._records[TP("b", 0)] = waiting
    waiting.size = 128  # of 256 bytes at most
    fetcher.leaders = {"b": 1}
    plan(fetcher)
    fetcher._records.clear()
    fetcher.leaders = {"a": 1, "b": 1}
    assert asked(fetcher)[0] == ["a", "b"]


def test_a_stage_without_such_topics_asks_for_everything_each_time() -> None:
    fetcher, _ = planned()
    assert [asked(fetcher) for _ in range(3)] == [(["a", "b"], 256, 500)] * 3


def test_a_broker_that_is_asked_for_nothing_else_is_asked_for_them_each_time() -> None:
    fetcher, _ = planned(gathered={"b"}, a=1, b=2)
    for _ in range(2):
        requests = plan(fetcher)[0]
        assert {broker: [topic for topic, _ in each.topics] for broker, each in requests.items()} == {
            1: ["a"],
            2: ["b"],
        }
        assert requests[2]._max_wait_ms == 500


def test_where_the_others_cannot_be_asked_for_the_plan_is_made_again_when_it_is_their_turn() -> None:
    fetcher, _ = planned(gathered={"b"}, paused={"a"})
    plan(fetcher)
    fetcher._records[TP("a", 0)] = SimpleNamespace(_backoff=0.1)
    requests, _, timeout_seconds, *_ = plan(fetcher)
    assert requests == {}
    assert 0 < timeout_seconds <= 0.05


def test_records_of_stages_are_handed_out_before_rows_of_tables_and_what_is_gathered() -> None:
    fetcher, asking = planned(gathered={"late"}, late=1, table=1, prompt=1)
    asking.partitions = {TP("late", 0): None, TP("prompt", 0): None}
    for topic in ("table", "late", "prompt"):
        fetcher._records[TP(topic, 0)] = SimpleNamespace(_backoff=0)
    plan(fetcher)
    assert [tp.topic for tp in fetcher._records] == ["prompt", "table", "late"]


def test_a_request_that_leaves_a_paused_partition_out_is_short() -> None:
    fetcher, asking = planned(paused={"a"})
    waiting = SimpleNamespace(_backoff=0.1)
    fetcher._records[TP("a", 0)] = waiting
    assert asked(fetcher)[2] == SHORT_FETCH_MAX_WAIT_MS
    assert waiting._backoff == 0, "it holds no other partition up"
    asking.paused = set()
    assert asked(fetcher)[2] == 500


def test_tables_that_recover_get_more_at_a_time_and_what_comes_after_them_does_not_wait() -> None:
    fetcher, asking = planned()
    asking.recovering = True
    assert asked(fetcher)[1:] == (recovery_bytes(2), SHORT_FETCH_MAX_WAIT_MS)
    assert recovery_bytes(2) > 256
    asking.recovering = False
    assert asked(fetcher)[1:] == (256, 500)
