"""The reporter's own port: other processes of ours ask it, in msgpack. Not for clients: the gateway is."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from pushcast.report.questions import ReportQuestions

MSGPACK: Final = "application/msgpack"
MAX_IDS: Final = 500


class ReportServer:
    """GET /notes, /list, /history, /minutes, /passed. `token`: a bearer token that is demanded; None: for loopback."""

    def __init__(self, questions: ReportQuestions, token: str | None) -> None:
        self._questions = questions
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._app = web.Application()
        answers = {
            "/notes": self._notes,
            "/list": self._list,
            "/history": self._history,
            "/minutes": self._minutes,
            "/passed": self._passed,
        }
        for path, answer in answers.items():
            self._app.router.add_get(path, self._guarded(answer))
        self._runner = web.AppRunner(self._app, access_log=None)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens; `port` is the real one afterwards. Raises OSError when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening."""
        await self._runner.cleanup()

    def _guarded(self, answer: Callable[[web.Request], bytes]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            sent = request.headers.get("Authorization", "").encode()
            if self._expected is not None and not hmac.compare_digest(sent, self._expected):
                return web.Response(status=401)
            try:
                body = await asyncio.to_thread(answer, request)
            except (KeyError, ValueError, msgspec.MsgspecError) as error:
                return web.Response(status=400, text=f"a parameter is wrong: {type(error).__name__}")
            return web.Response(body=body, content_type=MSGPACK)

        return handle

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


def _partitions(request: web.Request) -> frozenset[int]:
    return frozenset(map(int, request.query["partitions"].split(",")))


def _after(request: web.Request) -> tuple[int, bytes] | None:
    text = request.query.get("after")
    if text is None:
        return None
    number, _, name = text.partition(".")
    return int(number), bytes.fromhex(name)
