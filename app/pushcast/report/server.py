"""The reporter's own port: other processes of ours ask it, in msgpack. Not for clients: the gateway is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from pushcast.inner.port import Answering, InnerPort
from pushcast.report.questions import ReportQuestions

MSGPACK: Final = "application/msgpack"
MAX_IDS: Final = 500


class ReportServer(InnerPort):
    """GET /notes, /list, /history, /minutes, /passed."""

    def __init__(self, questions: ReportQuestions, token: str | None) -> None:
        self._questions = questions
        answers = {
            "/notes": self._notes,
            "/list": self._list,
            "/history": self._history,
            "/minutes": self._minutes,
            "/passed": self._passed,
        }
        super().__init__(token, {("GET", path): _on_a_thread(answer) for path, answer in answers.items()})

    def _notes(self, request: web.Request) -> bytes:
        ids = msgspec.json.decode(request.query["ids"], type=list[str])
        return self._questions.notes(_partitions(request), ids[:MAX_IDS])

    def _list(self, request: web.Request) -> bytes:
        query = request.query
        minutes = int(query["from"]), int(query["to"])
        return self._questions.listed(_partitions(request), *minutes, _after(request), int(query["limit"]))

    def _minutes(self, request: web.Request) -> bytes:
        query = request.query
        minutes = int(query["from"]), int(query["to"])
        return self._questions.minutes(_partitions(request), *minutes, max(1, int(query["step"])))

    def _passed(self, request: web.Request) -> bytes:
        return self._questions.passed(int(request.query["partition"]))

    def _history(self, request: web.Request) -> bytes:
        query = request.query
        times = int(query["from"]), int(query["to"])
        partition, limit = int(query["partition"]), int(query["limit"])
        return self._questions.history(partition, query["user"], *times, _after(request), limit)


def _on_a_thread(answer: Callable[[web.Request], bytes]) -> Answering:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = await asyncio.to_thread(answer, request)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            return web.Response(status=400, text=f"a parameter is wrong: {type(error).__name__}")
        return web.Response(body=body, content_type=MSGPACK)

    return handle


def _partitions(request: web.Request) -> frozenset[int]:
    return frozenset(map(int, request.query["partitions"].split(",")))


def _after(request: web.Request) -> tuple[int, bytes] | None:
    text = request.query.get("after")
    if text is None:
        return None
    number, _, name = text.partition(".")
    return int(number), bytes.fromhex(name)
