"""`DELETE /v1/notifications/{id}`: a notification that must not leave any more."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.events import Decode, checked_user, decoded, plain_event
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem
from pushcast.gateway.reports import Reports
from pushcast.gateway.writing import Writer
from pushcast.wire import topics

#: How long the reporter is asked whether it has left already.
STATE_SECONDS: Final = 0.5
_HISTORY: Final = 200


class CancelRequests:
    """The decoder is the keeper's own."""

    def __init__(self, decode: Decode, writer: Writer, reports: Reports) -> None:
        self._decode = decode
        self._writer = writer
        self._reports = reports

    async def cancel(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/notifications/{id}?user=U&remove=false. 409 when the reporter knows that all of it has ended."""
        caller.may_app(None)
        user = checked_user(request.query.get("user", ""))
        remove = request.query.get("remove", "false")
        if remove not in ("true", "false"):
            raise Problem("bad_request", "remove is true or false")
        note_id = request.path["id"]
        event = plain_event(user, note_id, {"ids": [note_id], "remove": remove == "true", "reason": f"key {caller.id}"})
        decoded(self._decode, event, request.now_ms)
        self._writer.check()
        state = await self._state(user, note_id)
        if state == "ended" and remove == "false":
            raise Problem("already_ended", "every delivery of it has ended; nothing was written")
        written = await self._writer.confirmed(self._writer.put(topics.CANCEL, user, event.value))
        told = "already_left" if state in ("ended", "left") else "unknown" if state is None else "cancelled"
        return answer(202, {"id": note_id, "user": user, "record": written.record, "state": told})

    async def _state(self, user: str, note_id: str) -> str | None:
        """`ended`: all deliveries have; `left`: some have; `waiting`: none has; None: the reporter does not say."""
        try:
            async with asyncio.timeout(STATE_SECONDS):
                report, history = await asyncio.gather(
                    self._reports.report(note_id), self._reports.deliveries(user, limit=_HISTORY, cursor=None)
                )
        except TimeoutError:
            return None
        if report is None or history is None or not report["complete"]:
            return None
        ended: list[Any] = [row for row in history["deliveries"] if row["notification"] == note_id]
        if not ended:
            return "waiting"
        return "ended" if report["open"] == 0 and not report["held"] else "left"
