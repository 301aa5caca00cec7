"""`/v1/pauses`: the operator's kill switch of an app, as `pushcast pause` and `resume`."""

from __future__ import annotations

from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.events import read_object
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import FieldError, Problem, refused
from pushcast.gateway.writing import Writer
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.wire import topics
from pushcast.wire.control.control import MAX_TEXT_CHARS, Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.times import rfc3339

_PARTITION: Final = 0


class Pauses:
    """Writes `push.control.v1`; `state` follows it."""

    def __init__(self, apps: frozenset[str], state: ControlState, writer: Writer) -> None:
        self._apps = apps
        self._state = state
        self._writer = writer

    async def put(self, request: Request, caller: Caller) -> Answer:
        """PUT /v1/pauses/{app}/{platform}[/{lane}]: within 2 seconds nothing of it leaves any more."""
        subject = self._subject(request, caller)
        comment = read_object(request.body).get("comment", "") if request.body.strip() else ""
        if not isinstance(comment, str) or len(comment) > MAX_TEXT_CHARS:
            detail = f"comment is a text of at most {MAX_TEXT_CHARS} characters"
            raise Problem("invalid_field", detail, errors=[FieldError("#/comment", "invalid_field", detail)])
        known = self._state.pauses.get(subject)
        try:
            self._state.check_room(subject)
        except InvalidInput as error:
            raise refused(error) from None
        pause = Pause(request.now_ms if known is None else known.since_ms, f"key {caller.id}", comment)
        await self._write(subject, encode(pause))
        return answer(200, _row(subject, pause))

    async def delete(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/pauses/{app}/{platform}[/{lane}]."""
        subject = self._subject(request, caller)
        await self._write(subject, None)
        return answer(200, _where(subject) | {"paused": False})

    async def list(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/pauses: pauses and open breakers of the key's apps."""
        allowed = caller.key.apps
        pauses = [_row(*item) for item in self._state.pauses.items() if allowed is None or item[0].app in allowed]
        breakers = [
            {"app": app, "platform": platform, "reason": entry.reason, "opened_at": rfc3339(entry.opened_at_ms)}
            for (app, platform), entry in self._state.breakers.items()
            if entry.is_open and (allowed is None or app in allowed)
        ]
        return answer(200, {"pauses": pauses, "open_breakers": breakers})

    def _subject(self, request: Request, caller: Caller) -> Subject:
        app = request.path["app"]
        if app not in self._apps:
            raise Problem("not_found", f"there is no app {app[:64]}")
        caller.may_app(app)
        try:
            platform = Platform(request.path["platform"])
            lane = Lane(request.path["lane"]) if "lane" in request.path else None
        except ValueError:
            raise Problem("not_found", "there is no such platform or lane") from None
        return Subject(Kind.PAUSE, app, platform, lane)

    async def _write(self, subject: Subject, value: bytes | None) -> None:
        self._writer.check()
        await self._writer.confirmed(self._writer.put_at(topics.CONTROL, _PARTITION, subject.key(), value))


def _where(subject: Subject) -> dict[str, Any]:
    return {"app": subject.app, "platform": subject.platform, "lane": subject.lane}


def _row(subject: Subject, pause: Pause) -> dict[str, Any]:
    return _where(subject) | {
        "paused": True,
        "since": rfc3339(pause.since_ms),
        "by": pause.by,
        "comment": pause.comment,
    }
