"""A reporter's port and who asks it, over HTTP as their processes do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from pushcast.report.coordinator import Coordinator
from pushcast.report.fetch import Fetcher
from pushcast.report.questions import ReportQuestions
from pushcast.report.server import MAX_IDS, ReportServer
from pushcast.wire import topics
from pushcast.wire.control.examples import ExampleFilter
from twins.books import CREATED_MS, entries, planned, receipt
from unit.report.test_coordinator import NOW_MS, FollowerTwin

TOKEN = "between processes"


class Port:
    """A reporter of one partition, and a coordinator that asks it."""

    def __init__(self, follower: FollowerTwin, server: ReportServer, fetch: Fetcher) -> None:
        self.store, self.server, self.fetch = follower.stores[0], server, fetch
        self.url = f"http://127.0.0.1:{server.port}"
        self.coordinator = Coordinator(lambda: {0: self.url}, 1, fetch, lambda: NOW_MS)


@pytest_asyncio.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    follower = FollowerTwin(tmp_path, range(1))
    server, fetch = ReportServer(ReportQuestions(follower), TOKEN), Fetcher(TOKEN)  # type: ignore[arg-type]
    await server.start("127.0.0.1", 0)
    yield Port(follower, server, fetch)
    await fetch.close()
    await server.close()
    follower.stores[0].close()


async def test_a_page_of_500_reports_with_long_ids_is_whole(port: Port) -> None:
    """Their ids are too much for the line of a request."""
    ids = [f"{number:03}-{'x' * 200}" for number in range(MAX_IDS)]
    rows = (planned((number, each, {"apns": 1}, "")) for number, each in enumerate(ids))
    port.store.apply(topics.PLANNED, entries(*rows))
    found = await port.coordinator.listed(limit=MAX_IDS)
    assert {row["id"] for row in found["reports"]} == set(ids)
    assert found["missing_partitions"] == []


async def test_examples_are_found_with_what_became_of_them(port: Port) -> None:
    gone: dict[str, Any] = {"outcome": "invalid", "reason": "device_unregistered", "provider_status": 410}
    port.store.apply(topics.RECEIPT, entries(receipt("n", "ann", "d"), receipt("n", "bob", "d", **gone)))
    wanted = ExampleFilter(CREATED_MS, NOW_MS, ["n"], reason="device_unregistered")
    said = await port.coordinator.examples(wanted, 10)
    [example] = said["examples"]
    assert (example["user"], example["device"], example["provider_status"]) == ("bob", "d", 410)
    assert (said["looked_at"], said["whole"], said["complete"]) == (2, True, True)
    said = await port.coordinator.examples(ExampleFilter(CREATED_MS, NOW_MS), 1)
    assert (len(said["examples"]), said["whole"]) == (1, False)


async def test_examples_name_the_partitions_that_are_silent(port: Port) -> None:
    await port.server.close()
    said = await port.coordinator.examples(ExampleFilter(CREATED_MS, NOW_MS), 1)
    assert said == {
        "examples": [], "looked_at": 0, "whole": False, "complete": False, "missing_partitions": [0],
    }  # fmt: skip


@pytest.mark.parametrize("wanted", ["{", "{}", '{"from_ms":"x","to_ms":1}'])
async def test_a_question_that_nobody_understands_is_refused(port: Port, wanted: str) -> None:
    with pytest.raises(OSError, match="HTTP 400"):
        await port.fetch(port.url, "/examples", {"partitions": "0", "limit": "1", "wanted": wanted})


async def test_without_the_token_nothing_is_told(port: Port) -> None:
    stranger = Fetcher("another")
    for ids in (["n"], ["n" * 200] * 100):
        with pytest.raises(OSError, match="HTTP 401"):
            await stranger(port.url, "/notes", {"partitions": "0", "ids": msgspec.json.encode(ids).decode()})
    await stranger.close()
