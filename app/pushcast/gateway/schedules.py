"""`/v1/users/{user}/scheduled`: what waits for its time, and its end before that."""

from __future__ import annotations

from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.events import Decode, checked_user, decoded, plain_event
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.questions import Questions, Sources
from pushcast.gateway.writing import Writer
from pushcast.wire import topics
from pushcast.wire.events.cancels import MAX_IDS

MAX_SHOWN: Final = 1000


class Schedules:
    """Timers as the keeper has them. The decoder is that of cancels."""

    def __init__(self, decode_cancel: Decode, writer: Writer, questions: Questions, sources: Sources) -> None:
        self._decode = decode_cancel
        self._writer = writer
        self._questions = questions
        self._sources = sources

    async def all(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/scheduled: by when they are due."""
        user, waiting = await self._waiting(request, caller)
        return answer(200, {"user": user, "waiting": len(waiting), "timers": waiting[:MAX_SHOWN]})

    async def show(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/users/{user}/scheduled/{id}."""
        user, waiting = await self._waiting(request, caller)
        found = [each for each in waiting if each["notification"] == request.path["id"]]
        if not found:
            raise Problem("not_found", "nothing of this id waits for the user")
        return answer(200, {"user": user, "timers": found})

    async def cancel(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/users/{user}/scheduled[/{id}]: of everything that waits, or of one notification."""
        user, waiting = await self._waiting(request, caller)
        ids = list(dict.fromkeys(each["notification"] for each in waiting))
        if "id" in request.path:
            ids = [each for each in ids if each == request.path["id"]]
            if not ids:
                raise Problem("not_found", "nothing of this id waits for the user")
        if len(ids) > MAX_IDS:
            raise Problem("bad_request", f"{len(ids)} notifications wait; cancel them by id, at most {MAX_IDS} at once")
        record = None
        if ids:
            event = plain_event(user, "", {"ids": ids, "reason": f"key {caller.id}"})
            decoded(self._decode, event, request.now_ms)
            self._writer.check()
            written = await self._writer.confirmed(self._writer.put(topics.CANCEL, user, event.value))
            record = written.record
        return answer(202, {"user": user, "cancelled": ids, "record": record})

    async def _waiting(self, request: Request, caller: Caller) -> tuple[str, list[dict[str, Any]]]:
        caller.may_app(None)
        user = checked_user(request.path["user"])
        return user, await self._questions.ask(self._sources.timers, user)
