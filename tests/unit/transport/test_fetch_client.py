"""Fetches that name what has changed, through aiokafka's own classes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11, FetchResponse_v4, FetchResponse_v11
from aiokafka.protocol.metadata import MetadataRequest

from pushcast.transport import fetch_client
from pushcast.transport.fetch_client import FetchClient
from pushcast.transport.fetch_session import SESSION_ID_NOT_FOUND

TOPICS = [("a", [(0, 5, 9), (1, 6, 9)])]
CORRUPT_MESSAGE = 2


def fetch(topics: Any = TOPICS) -> FetchRequest:
    return FetchRequest(500, 1, 50 << 20, 1, topics, rack_id="r")


class Client:
    """aiokafka's, with answers of the test. `said`: session id, epoch, topics and forgotten partitions of each."""

    def __init__(self, *answers: tuple[int, int] | BaseException, version: Any = FetchRequest_v11) -> None:
        self.answers = list(answers)
        self.version = version
        self.requests: list[Any] = []
        self.cluster = "the cluster"

    @property
    def said(self) -> list[tuple[Any, ...]]:
        return [
            (each.session_id, each.session_epoch, each.topics, each.forgotten_topics_data) for each in self.requests
        ]

    async def send(self, node_id: int, request: Any) -> Any:
        self.requests.append(request.build(self.version) if isinstance(request, FetchRequest) else request)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        if self.version is FetchRequest_v4:
            return FetchResponse_v4(0, [])
        return FetchResponse_v11(0, *answer, [])


def named(*partitions: tuple[int, int]) -> list[Any]:
    return [("a", [(number, -1, offset, -1, 9) for number, offset in partitions])] if partitions else []


async def test_the_second_request_names_the_partition_that_has_moved_and_has_all_of_the_first_ones_words() -> None:
    client = Client((0, 77), (0, 77))
    ours = FetchClient(client)
    await ours.send(1, fetch())
    await ours.send(1, fetch([("a", [(0, 5, 9), (1, 8, 9)])]))
    assert client.said == [(0, 0, named((0, 5), (1, 6)), ()), (77, 1, named((1, 8)), [])]
    second = client.requests[1]
    assert (second.max_wait_time, second.max_bytes, second.isolation_level, second.rack_id) == (500, 50 << 20, 1, "r")
    second.encode()


async def test_each_broker_has_a_session_of_its_own() -> None:
    client = Client((0, 77), (0, 78), (0, 77))
    ours = FetchClient(client)
    for node in (1, 2, 1):
        await ours.send(node, fetch())
    assert [said[:2] for said in client.said] == [(0, 0), (0, 0), (77, 1)]


@pytest.mark.parametrize("error", [ConnectionError(), asyncio.CancelledError()])
async def test_after_a_request_that_was_lost_the_next_one_names_everything_and_closes_the_session(
    error: BaseException,
) -> None:
    client = Client((0, 77), error, (0, 78))
    ours = FetchClient(client)
    await ours.send(1, fetch())
    with pytest.raises(type(error)):
        await ours.send(1, fetch())
    await ours.send(1, fetch())
    assert client.said[2] == (77, 0, named((0, 5), (1, 6)), ())


async def test_under_another_assignment_sessions_begin_anew() -> None:
    client = Client((0, 77), (0, 77), (0, 78))
    ours, first = FetchClient(client), object()
    for assignment in (first, first, object()):
        ours.follow(assignment)
        await ours.send(1, fetch())
    assert [said[:2] for said in client.said] == [(0, 0), (77, 1), (77, 0)]


async def test_a_session_that_the_broker_let_go_is_usual_and_another_error_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_client, "AGAIN_SECONDS", 0)
    client = Client((0, 77), (SESSION_ID_NOT_FOUND, 0), (0, 78), (CORRUPT_MESSAGE, 0), (CORRUPT_MESSAGE, 0), (0, 79))
    ours = FetchClient(client)
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            await ours.send(1, fetch())
    assert [said[:2] for said in client.said] == [(0, 0), (77, 1), (0, 0), (78, 1), (78, 0), (78, 0)]
    assert [record.message for record in caplog.records] == ["broker 1 refused a fetch with error 2; it is asked anew"]


async def test_a_broker_without_sessions_and_other_requests_are_asked_as_ever() -> None:
    client = Client((0, 0), (0, 0), version=FetchRequest_v4)
    ours = FetchClient(client)
    for _ in range(2):
        await ours.send(1, fetch())
    assert [each.topics for each in client.requests] == [TOPICS, TOPICS]
    other = Client((0, 0))
    request = MetadataRequest([])
    await FetchClient(other).send(1, request)
    assert other.requests == [request]
    assert FetchClient(other).cluster == "the cluster"
