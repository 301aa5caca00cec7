"""`pushcast.client` against answers that a test gives, and against the gateway itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pushcast.client import Client, Refused, Unavailable
from twins.gateway import gateway


class Answers(httpx.BaseTransport):
    """Gives these, one after another; notes what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(answers: Answers, **options: Any) -> tuple[Client, list[float]]:
    pauses: list[float] = []
    options = {"transport": answers, "sleep": pauses.append, "jitter": lambda: 1.0, **options}
    return Client("http://push", "pc_key", **options), pauses


def busy(status: int = 503, after: str | None = None) -> httpx.Response:
    headers = {} if after is None else {"Retry-After": after}
    return httpx.Response(status, json={"detail": "later"}, headers=headers)


WRITTEN = httpx.Response(202, json={"id": "n", "record": "push.notification.normal.v1/3/1"})


def test_every_attempt_is_the_same_notification() -> None:
    answers = Answers(busy(), httpx.ConnectError("refused"), busy(429), WRITTEN)
    push, pauses = client(answers)
    assert push.send("u", title="t")["record"] == "push.notification.normal.v1/3/1"
    bodies = [json.loads(request.content) for request in answers.asked]
    assert len({body["id"] for body in bodies}) == 1
    assert bodies[0] == {"id": bodies[0]["id"], "title": "t", "user": "u"}
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("method", ["send", "send_many", "broadcast"])
def test_an_id_of_none_is_as_no_id(method: str) -> None:
    answers = Answers(busy(), WRITTEN)
    push, _ = client(answers)
    match method:
        case "send":
            push.send("u", id=None, title="t")
        case "send_many":
            push.send_many([{"user": "u", "id": None, "title": "t"}])
        case _:
            push.broadcast(id=None, app="news", title="t")
    first, second = (json.loads(request.content) for request in answers.asked)
    assert first == second
    assert first.get("notifications", [first])[0]["id"]


def test_it_waits_as_long_as_the_gateway_says_but_not_for_ever() -> None:
    push, pauses = client(Answers(busy(429, "7"), busy(after="86400"), busy(after="x"), WRITTEN))
    push.send("u", title="t")
    assert pauses == [7, 30, 4]


def test_an_id_that_is_given_stays() -> None:
    answers = Answers(WRITTEN)
    client(answers)[0].send("u", id="mine", title="t")
    assert json.loads(answers.asked[0].content)["id"] == "mine"


def test_what_is_refused_is_not_asked_again_and_says_why() -> None:
    problem = {"type": "/problems/invalid_field", "detail": "badge is not a number", "errors": []}
    answers = Answers(httpx.Response(422, json=problem))
    with pytest.raises(Refused, match="422 badge is not a number") as refused:
        client(answers)[0].send("u", options={"badge": "x"})
    assert (refused.value.status, refused.value.problem) == (422, problem)
    assert len(answers.asked) == 1


def test_after_the_last_attempt_it_says_that_it_may_have_been_written() -> None:
    push, pauses = client(Answers(busy(), httpx.ReadTimeout("late")), attempts=2)
    with pytest.raises(Unavailable, match="ReadTimeout after 2 attempts"):
        push.send("u", title="t")
    assert pauses == [1]


def test_an_answer_of_something_between_is_no_crash() -> None:
    with pytest.raises(Refused, match="502 refused"):
        client(Answers(httpx.Response(502, text="<html>")))[0].report("n")


def test_names_in_paths_are_quoted_and_the_key_is_in_the_header_alone() -> None:
    answers = Answers(WRITTEN, WRITTEN)
    push, _ = client(answers)
    push.register("a/b", "news", "d 1", platform="apns", token="ab")
    push.cancel("x?y", "u", remove=True)
    register, cancel = answers.asked
    assert register.url.raw_path == b"/v1/users/a%2Fb/devices/news/d%201"
    assert cancel.url.raw_path == b"/v1/notifications/x%3Fy?user=u&remove=true"
    assert register.headers["Authorization"] == "Bearer pc_key"
    assert "pc_key" not in repr(push)


@pytest.mark.parametrize(
    ("call", "topic"),
    [
        (lambda push: push.send("u", title="t"), "push.notification.normal.v1"),
        (lambda push: push.send_many([{"user": "u", "title": "t"}]), "push.notification.normal.v1"),
        (lambda push: push.cancel("n", "u"), "push.cancel.v1"),
        (lambda push: push.broadcast(app="news", audience={"all": True}, title="t"), "push.broadcast.normal.v1"),
        (lambda push: push.register("u", "news", "d", platform="apns", token="ab" * 32), "push.device.changed.v1"),
        (lambda push: push.unregister("u", "news", "d"), "push.device.changed.v1"),
    ],
)
async def test_the_gateway_takes_what_it_sends(call: Callable[[Client], Any], topic: str) -> None:
    async with gateway() as rig:
        with Client(f"http://127.0.0.1:{rig.server.port}", rig.key(), attempts=1) as push:
            await asyncio.to_thread(call, push)
        assert [put.topic for put in rig.producer.puts] == [topic]
