"""The reporter's own port: other processes of ours ask it, in msgpack. Not for clients: the gateway is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from pushcast.inner.port import Answering, InnerPort
from pushcast.report.questions import ReportQuestions
from pushcast.wire.control.examples import ExampleFilter
from pushcast.wire.json_errors import UNREADABLE

#: Of a question, by name.
Parameters = Mapping[str, str]

MSGPACK: Final = "application/msgpack"
MAX_IDS: Final = 500


class ReportServer(InnerPort):
    """Each path by GET, or by POST with its parameters as a form."""

    def __init__(self, questions: ReportQuestions, token: str | None) -> None:
        self._questions = questions
        answers = {
            "/notes": self._notes,
            "/list": self._list,
            "/history": self._history,
            "/examples": self._examples,
            "/minutes": self._minutes,
            "/passed": self._passed,
        }
        routes = {
            (method, path): _on_a_thread(answer) for path, answer in answers.items() for method in ("GET", "POST")
        }
        super().__init__(token, routes)

    def _notes(self, asked: Parameters) -> bytes:
        ids = msgspec.json.decode(asked["ids"], type=list[str])
        return self._questions.notes(_partitions(asked), ids[:MAX_IDS])

    def _list(self, asked: Parameters) -> bytes:
        minutes = int(asked["from"]), int(asked["to"])
        return self._questions.listed(_partitions(asked), *minutes, _after(asked), int(asked["limit"]))

    def _minutes(self, asked: Parameters) -> bytes:
        minutes = int(asked["from"]), int(asked["to"])
        return self._questions.minutes(_partitions(asked), *minutes, max(1, int(asked["step"])))

    def _examples(self, asked: Parameters) -> bytes:
        wanted = msgspec.json.decode(asked["wanted"], type=ExampleFilter)
        return self._questions.examples(_partitions(asked), wanted, int(asked["limit"]))

    def _passed(self, asked: Parameters) -> bytes:
        return self._questions.passed(int(asked["partition"]))

    def _history(self, asked: Parameters) -> bytes:
        partition, limit = int(asked["partition"]), int(asked["limit"])
        wanted = ExampleFilter(int(asked["from"]), int(asked["to"]))
        if "wanted" in asked:
            wanted = msgspec.json.decode(asked["wanted"], type=ExampleFilter)
        return self._questions.history(partition, asked["user"], wanted, _after(asked), limit)


def _on_a_thread(answer: Callable[[Parameters], bytes]) -> Answering:
    async def handle(request: web.Request) -> web.Response:
        try:
            sent = await request.post() if request.method == "POST" else request.query
            asked = {name: text for name, text in sent.items() if isinstance(text, str)}
            body = await asyncio.to_thread(answer, asked)
        except (KeyError, ValueError, *UNREADABLE) as error:
            return web.Response(status=400, text=f"a parameter is wrong: {type(error).__name__}")
        return web.Response(body=body, content_type=MSGPACK)

    return handle


def _partitions(asked: Parameters) -> frozenset[int]:
    return frozenset(map(int, asked["partitions"].split(",")))


def _after(asked: Parameters) -> tuple[int, bytes] | None:
    text = asked.get("after")
    if text is None:
        return None
    number, _, name = text.partition(".")
    return int(number), bytes.fromhex(name)
